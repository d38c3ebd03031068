"""What is kept from one step of a stream to the next, in both runtimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.stream_models import FACTS, levels, means, streams, write_cache, write_stream

from modelyard.serving.backends import open_model
from modelyard.serving.errors import InputError, StartError
from modelyard.serving.model import Facts
from modelyard.serving.streams import in_file, kept_of

RUNTIMES = ["onnx", "onnx-1", "litert", "litert-1"]


@pytest.fixture(scope="module", params=RUNTIMES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model with a batch that varies, and for one stream at a time."""
    runtime, _, fixed = request.param.partition("-")
    if runtime == "litert":
        return open_model("litert", request.getfixturevalue("models") / f"stream{'-1' if fixed else ''}", 1)
    pytest.importorskip("onnx", reason="needs onnx, to write the model")
    return open_model("onnxruntime", write_stream(tmp_path_factory.mktemp("m") / "m", 1 if fixed else "n"), 1)


@pytest.mark.parametrize(("count", "steps"), [(1, 1), (1, 7), (3, 5), (20, 2)])
def test_a_whole_stream_goes_through_step_by_step(model: Any, count: int, steps: int) -> None:
    sent = streams(count, steps)
    found = model.run({"sound": sent})

    assert list(found) == ["level"]
    np.testing.assert_allclose(found["level"], levels(sent), rtol=1e-5)
    np.testing.assert_allclose(model.predict(sent), levels(sent), rtol=1e-5)
    assert np.abs(levels(sent) - levels(sent[:, ::-1])[:, ::-1]).max() > 0.1 or steps == 1, "the order counts"


def test_what_is_kept_goes_on_with_the_next_chunk_and_streams_beside_do_not_matter(model: Any) -> None:
    sent, kept = streams(2, 9), {one.name: one.first(2) for one in kept_of(model.facts)}
    answers = []
    for start, end in ((0, 1), (1, 6), (6, 9)):
        found = model.run({"sound": sent[:, start:end], **kept})
        answers.append(found.pop("level"))
        assert found.keys() == kept.keys()
        kept = found

    np.testing.assert_allclose(np.concatenate(answers, axis=1), levels(sent), rtol=1e-5)


def test_streams_without_a_step_or_of_another_width_are_refused(model: Any) -> None:
    with pytest.raises(InputError, match="or none: 'sound' 0"):
        model.run({"sound": streams(1, 0)})
    with pytest.raises(InputError, match=r"expected \[-1, time, 3\]"):
        model.run({"sound": np.zeros((1, 2, 4), np.float32)})


def test_what_is_kept_and_what_the_file_has(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    facts = Facts.read(write_stream(tmp_path / "m"))
    assert [(one.name, one.shape, one.size_bytes) for one in kept_of(facts)] == [
        ("state:h", (2, 3), 24),
        ("overlap:sound", (1,), 4),
    ]
    file = in_file(facts)
    assert [(one.tensor, one.shape, one.batch_axis) for one in file.inputs] == [("x", (4,), 0), ("h", (2, 3), 1)]
    assert [(one.tensor, one.shape, one.batch_axis) for one in file.outputs] == [("y", (3,), 0), ("hn", (2, 3), 1)]
    assert not file.keeps
    plain = Facts.read(write_stream(tmp_path / "p", states=[], inputs=[{**FACTS["inputs"][0], "overlap": 0}]))
    assert in_file(plain) is plain


def test_a_file_that_takes_chunks_is_run_once_for_each(tmp_path: Path) -> None:
    """Samples that have no axis more than the file: each is one step, or as many as the file takes at once."""
    pytest.importorskip("onnx")
    shapes: dict[str, Any] = {
        "inputs": [{**FACTS["inputs"][0], "shape": [3]}],
        "outputs": [{**FACTS["outputs"][0], "shape": [3]}],
    }
    model = open_model("onnxruntime", write_stream(tmp_path / "m", looped=False, **shapes), 1)
    sent = streams(4, 1)

    np.testing.assert_allclose(model.run({"sound": sent[:, 0]})["level"], levels(sent)[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"states": []}, "needs input 'h', too, which model.json does not name"),
        ({"constants": []}, "needs input 'scale', too, which model.json does not name"),
        ({"constants": [{"tensor": "rate", "dtype": "float32", "value": 2.0}]}, "has no input tensor 'rate'"),
        ({"constants": [{"tensor": "scale", "dtype": "int64", "value": 2}]}, "its constant in model.json is int64"),
        ({"constants": [{"tensor": "scale", "dtype": "int64", "value": 2.5}]}, "2.5 is no int64"),
        ({"constants": [{"tensor": "scale", "dtype": "float32", "value": [2.0]}]}, "float32, (1,)"),
        ({"states": [{**FACTS["states"][0], "source": "hm"}]}, "none is 'hm'"),
        ({"states": [{**FACTS["states"][0], "shape": [4, 3]}]}, "its model.json says"),
    ],
)
def test_a_model_json_that_does_not_fit_the_file_is_told(tmp_path: Path, facts: dict[str, Any], told: str) -> None:
    pytest.importorskip("onnx")
    folder = write_stream(tmp_path / "m", **facts)
    with pytest.raises(StartError) as caught:
        open_model("onnxruntime", folder, 1)
    assert told in str(caught.value)


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_state_that_grows_begins_with_nothing_and_holds_every_chunk(tmp_path: Path, batch: int | str) -> None:
    pytest.importorskip("onnx")
    model: Any = open_model("onnxruntime", write_cache(tmp_path / "m", batch), 1)
    sent = streams(20, 6)
    np.testing.assert_allclose(model.run({"sound": sent})["level"], means(sent), rtol=1e-4, atol=1e-6)

    kept = {one.name: one.first(20) for one in kept_of(model.facts)}
    assert [one.shape for one in kept.values()] == [(20, 0, 3), (20, 3, 0)]
    for start, end in ((0, 1), (1, 4), (4, 6)):
        found = model.run({"sound": sent[:, start:end], **kept})
        now = np.broadcast_to(means(sent[:, :end])[:, :1], (20, end - start, 3))
        np.testing.assert_allclose(found.pop("level"), now, rtol=1e-4, atol=1e-6)
        kept = found
    assert [one.shape for one in kept.values()] == [(20, 6, 3), (20, 3, 6)]


def test_a_litert_model_that_lacks_its_constant_is_told(models: Path, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes((models / "stream" / "model.tflite").read_bytes())
    for constants, told in (
        ([], "needs input 'scale', too"),
        ([{"tensor": "rate", "dtype": "float32", "value": 1}], "has no such input"),
    ):
        facts = {"format": "tflite", "file": "model.tflite"} | FACTS | {"constants": constants}
        (tmp_path / "model.json").write_text(json.dumps(facts))
        with pytest.raises(StartError, match=told):
            open_model("litert", tmp_path, 1)
