from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.onnx_models import logits, move_weights_out, probabilities, write_onnx

from modelyard.serving.backends import ByTensors, opened
from modelyard.serving.backends.onnxruntime import OnnxModel, open_model
from modelyard.serving.errors import InputError, StartError
from modelyard.serving.model import CHUNK


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("onnx") / "model")


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float16, 2e-3)])
@pytest.mark.parametrize("batch", ["n", 3])
def test_probabilities_are_those_of_the_network(
    tmp_path: Path, raw: np.ndarray, dtype: Any, tolerance: float, batch: str | int
) -> None:
    predicted = open_model(write_onnx(tmp_path / "m", dtype=dtype, batch=batch), threads=2).predict(raw)

    assert (predicted.dtype, predicted.shape) == (np.float32, (7, 10))
    np.testing.assert_allclose(predicted, probabilities(raw), atol=tolerance)
    assert np.ptp(predicted, axis=0).max() > 0.01, "the samples get different answers"


def test_weights_in_another_file_answer_the_same(tmp_path: Path, folder: Path, raw: np.ndarray) -> None:
    outside = move_weights_out(write_onnx(tmp_path / "m"))
    os.link(outside / "model.onnx/weights.bin", tmp_path / "second")  # as the store has it
    np.testing.assert_array_equal(open_model(outside).predict(raw), open_model(folder).predict(raw))
    (outside / "model.onnx/weights.bin").unlink()
    with pytest.raises(StartError, match="not a model that ONNX Runtime can run"):
        open_model(outside)


@pytest.mark.parametrize("count", [1, 2, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_the_batch_changes_nothing(folder: Path, raw: np.ndarray, count: int) -> None:
    model = open_model(folder)
    many = np.resize(raw, (count, 8, 8, 1))

    np.testing.assert_allclose(
        model.predict(many), np.concatenate([model.predict(one[None]) for one in many]), atol=1e-6
    )


def test_the_same_samples_give_the_same_bytes_however_many_threads(folder: Path, raw: np.ndarray) -> None:
    answers = {open_model(folder, threads=threads).predict(raw).tobytes() for threads in (1, 2, 2)}

    assert len(answers) == 1


def test_one_model_serves_many_threads(folder: Path, raw: np.ndarray) -> None:
    model = open_model(folder)
    alone = [model.predict(raw[: n % 7 + 1]) for n in range(60)]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda n: model.predict(raw[: n % 7 + 1]), range(60)))

    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_no_samples_give_no_rows(folder: Path) -> None:
    assert open_model(folder).predict(np.zeros((0, 8, 8, 1), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8, 1), (1, 8, 8, 3)])
def test_another_shape_is_an_input_error(folder: Path, shape: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \[-1, 8, 8, 1\]"):
        open_model(folder).predict(np.zeros(shape, np.uint8))


def test_a_model_that_answers_probabilities_gets_no_softmax(tmp_path: Path, raw: np.ndarray) -> None:
    model = open_model(write_onnx(tmp_path / "m", output="probabilities"))

    np.testing.assert_allclose(model.predict(raw), logits(raw), atol=1e-5)


@pytest.mark.parametrize(("kind", "dtype"), [(np.int64, "int64"), (np.int64, "int32"), (np.float32, "int32")])
def test_whole_numbers_reach_the_model_as_they_are(tmp_path: Path, raw: np.ndarray, kind: Any, dtype: str) -> None:
    """A preprocessing would divide them, were it applied: ids are no pictures."""
    ids = raw.astype(dtype) * 1000 + 1
    right = open_model(write_onnx(tmp_path / "floats", input_dtype="float32", preprocessing={})).predict(
        ids.astype(np.float32)
    )
    model = open_model(write_onnx(tmp_path / "ids", dtype=kind, input_dtype=dtype))

    np.testing.assert_array_equal(model.predict(ids), right)


def test_truth_values_are_sent_as_0_and_1(tmp_path: Path, raw: np.ndarray) -> None:
    mask = (raw % 2).astype("int32")
    floats = open_model(write_onnx(tmp_path / "floats", input_dtype="float32", preprocessing={}))
    model = open_model(write_onnx(tmp_path / "mask", dtype=np.bool_, input_dtype="int32"))

    np.testing.assert_array_equal(model.predict(mask), floats.predict(mask.astype(np.float32)))
    with pytest.raises(InputError, match=r"holds 2; the model's own type there is bool"):
        model.predict(mask * 2)


def test_both_protocols_take_whole_numbers(
    start: Callable[..., contextlib.AbstractContextManager[Running]], tmp_path: Path, raw: np.ndarray
) -> None:
    folder = write_onnx(tmp_path / "m", dtype=np.int64, input_dtype="int64", value_range=[0, 90_000])
    ids = raw.astype(np.int64) * 5000
    right = open_model(folder).predict(ids)
    tensor = {"name": "input", "shape": list(raw.shape), "datatype": "INT64", "data": ids.ravel().tolist()}
    with start(folder, BACKEND="onnxruntime") as server, server.client() as client:
        v1 = client.post("/v1/models/digits:predict", json={"instances": ids.tolist()}).json()
        v2 = client.post("/v2/models/digits/infer", json={"inputs": [tensor]}).json()
        kinds = client.get("/v2/models/digits").json()["inputs"][0]["datatype"]
        signature = client.get("/v1/models/digits/metadata").json()["metadata"]["signature_def"]["signature_def"]
        floats = client.post("/v1/models/digits:predict", json={"instances": (ids + 0.5).tolist()})
        beyond = client.post("/v1/models/digits:predict", json={"instances": (ids + 90_000).tolist()})

    np.testing.assert_allclose(v1["predictions"], right, atol=1e-7)
    np.testing.assert_allclose(np.reshape(v2["outputs"][0]["data"], right.shape), right, atol=1e-7)
    assert (kinds, signature["serving_default"]["inputs"]["input"]["dtype"]) == ("INT64", "DT_INT64")
    assert (floats.status_code, beyond.status_code) == (400, 400)
    assert "is not of expected type: int64" in floats.json()["error"]


@pytest.mark.parametrize("facts", [{"input_shape": [8, 8, 3]}, {"class_names": ["a", "b"]}, {"input_shape": [8, 8]}])
def test_a_model_json_that_does_not_fit_is_refused(tmp_path: Path, facts: dict[str, Any]) -> None:
    with pytest.raises(StartError, match=r"takes \(8, 8, 1\) and answers \(10,\); its model\.json says"):
        open_model(write_onnx(tmp_path / "m", **facts))


def test_a_model_with_another_input_type_or_two_outputs_is_refused(tmp_path: Path) -> None:
    told = r"input 'x' is a tensor\(int64\); allowed: tensor\(float\).*; samples of uint8 reach it as float32: a data set of"
    with pytest.raises(StartError, match=told):
        open_model(write_onnx(tmp_path / "a", dtype=np.int64))
    with pytest.raises(StartError, match=r"has 2 output tensors \('y', 'l'\), none is 'probabilities', which"):
        open_model(write_onnx(tmp_path / "b", outputs=2))


def test_an_output_of_which_nobody_says_the_axes_is_refused_with_what_to_say(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "m")
    said = json.loads((folder / "model.json").read_text())
    said["outputs"][0]["shape"] = ["..."]
    (folder / "model.json").write_text(json.dumps(said))
    with pytest.raises(
        StartError, match=r"how many axes its output 'y' has; say them.*axes = \[\.\.\.\], of the output"
    ):
        open_model(folder)


def test_a_damaged_model_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "m")
    (folder / "model.onnx").write_bytes(b"not a model")

    with pytest.raises(StartError, match="not a model that ONNX Runtime can run") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)


def test_the_server_serves_it(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path, raw: np.ndarray
) -> None:
    with start(folder, BACKEND="onnxruntime") as server, server.client() as client:
        v1 = client.post("/v1/models/digits:predict", json={"instances": raw.tolist()}).json()
        tensor = {"name": "input", "shape": list(raw.shape), "datatype": "UINT8", "data": raw.ravel().tolist()}
        v2 = client.post("/v2/models/digits/infer", json={"inputs": [tensor]}).json()
        assert client.get("/v2/models/digits").json()["platform"] == "onnx_onnxv1"
        assert server.stop() == 0

    np.testing.assert_allclose(v1["predictions"], probabilities(raw), atol=1e-6)
    np.testing.assert_allclose(np.reshape(v2["outputs"][0]["data"], (7, 10)), probabilities(raw), atol=1e-6)


def test_a_model_of_another_runtime_does_not_start(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path
) -> None:
    data = json.loads((folder / "model.json").read_text())
    assert data["format"] == "onnx"
    with pytest.raises(AssertionError, match="not a model that LiteRT can run"), start(folder, BACKEND="litert"):
        pass


def test_onnx_runtime_keeps_no_identifier_in_the_home_directory_for_its_maker(folder: Path, tmp_path: Path) -> None:
    silences_it = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    shell = {name: value for name, value in os.environ.items() if name not in silences_it}
    program = (
        "import pathlib, sys\n"
        "from modelyard.serving.backends.onnxruntime import open_model\n"
        "open_model(pathlib.Path(sys.argv[1]))\n"
    )

    subprocess.run([sys.executable, "-c", program, folder], check=True, env={**shell, "HOME": str(tmp_path)})

    assert list(tmp_path.rglob("*Microsoft*")) == []


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link"])
def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    """ONNX Runtime itself sees to it; this is why the extra asks for a version that does."""
    import onnx

    folder = write_onnx(tmp_path / "m")
    (tmp_path / "secret").write_bytes(bytes(1 << 16))
    (folder / "link").symlink_to("../secret")
    model = onnx.load(folder / "model.onnx")
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (folder / "model.onnx").write_bytes(model.SerializeToString())

    with pytest.raises(
        StartError, match=r"model\.onnx: not a model that ONNX Runtime can run: .*[Ee]xternal data path"
    ):
        open_model(folder)


def test_a_backend_of_ones_own_that_runs_the_files_own_tensors_answers_the_same(folder: Path, raw: np.ndarray) -> None:
    class Own:
        def __init__(self, place: Any, threads: int) -> None:
            model = open_model(place, threads=threads)
            assert isinstance(model, OnnxModel)
            self.session = model._session
            (self.name,) = [one.name for one in self.session.get_inputs()]

        def run_once(self, inputs: Any) -> Any:
            return self.session.run(None, {self.name: inputs[0]})

    found = opened(Own, folder, 1)
    assert isinstance(found, ByTensors)
    given, answer = found.facts.input.name, found.facts.output.name
    np.testing.assert_array_equal(found.run({given: raw})[answer], open_model(folder).run({given: raw})[answer])


def test_one_that_cannot_open_the_model_is_told_in_one_line(folder: Path) -> None:
    def broken(place: Any, threads: int) -> None:
        msg = "no\nsuch thing"
        raise OSError(msg)

    with pytest.raises(StartError, match=r"model: the runtime cannot open the model: no such thing$"):
        opened(broken, folder, 1)
