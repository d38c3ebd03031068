"""Several models behind one server: found by name and version, through every protocol."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Running
from tests.serving.test_metrics import labels, scrape

from modelyard.serving.errors import StartError
from modelyard.serving.limits import Limits
from modelyard.serving.model import Facts
from modelyard.serving.repository import Open, Repository, places
from modelyard.serving.served import Served
from modelyard.serving.settings import Settings


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`net` in the versions 1 and 3, and `raw`, whose samples are float32."""
    root = tmp_path_factory.mktemp("several")
    for name, model in {"net/1": "float32", "net/3": "int8", "raw": "float32-raw"}.items():
        shutil.copytree(models / model, root / name)
    (root / "..data").mkdir()
    (root / "notes.txt").touch()
    return root


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path) -> Iterator[Any]:
    with start(folder, GRPC_PORT="0", WORKERS="1") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[Any]:
    with server.client() as one:
        yield one


def infer(client: Any, path: Any, raw: Any, datatype: str = "UINT8") -> Any:
    values = raw.ravel().tolist()
    said = {"name": "input", "datatype": datatype, "shape": list(raw.shape), "data": values}
    answer = client.post(f"/v2/models/{path}/infer", json={"inputs": [said]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def probabilities(answer: Any) -> Any:
    output = answer["outputs"][0]
    return np.array(output["data"], np.float32).reshape(output["shape"])


def test_each_is_asked_by_its_name_and_version_and_the_highest_without_one(
    client: Any, folder: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    one, three = (expected(folder / "net" / version, raw) for version in ("1", "3"))
    assert np.abs(one - three).max() > 1e-4, "they can be told apart"
    for path, version, answers in (("net", "3", three), ("net/versions/1", "1", one), ("net/versions/3", "3", three)):
        said = infer(client, path, raw)
        assert (said["model_name"], said["model_version"]) == ("net", version)
        np.testing.assert_allclose(probabilities(said), answers, atol=2e-6)
        got = client.post(f"/v1/models/{path}:predict", json={"instances": raw.tolist()}).json()["predictions"]
        np.testing.assert_allclose(np.array(got, np.float32), answers, atol=2e-6)
    floats = infer(client, "raw", raw.astype(np.float32), "FP32")
    assert floats["model_name"] == "raw"


def test_what_there_is_is_told(client: Any) -> None:
    index = [{"name": name, "version": version, "state": "READY"} for name, version in
             (("net", "1"), ("net", "3"), ("raw", "1"))]  # fmt: skip
    assert client.post("/v2/repository/index", json={}).json() == index
    assert client.get("/v2/repository/index").status_code == 405
    assert client.get("/v2/models/net").json()["versions"] == ["1", "3"]
    assert client.get("/v2/models/net/versions/1").json()["parameters"]["variant"] == "float32"
    assert client.get("/v2/models/raw").json()["inputs"][0]["datatype"] == "FP32"
    assert client.get("/v2/models/raw/ready").json() == {"name": "raw", "ready": True}
    states = client.get("/v1/models/net").json()["model_version_status"]
    assert [one["version"] for one in states] == ["3", "1"]
    states = client.get("/v1/models/net/versions/1").json()["model_version_status"]
    assert [one["version"] for one in states] == ["1"]
    assert client.get("/v1/models/raw/metadata").json()["model_spec"]["name"] == "raw"


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/v2/models/digits/infer", 404, "unknown model 'digits'; served: 'net', 'raw'"),
        ("GET", "/v2/models/net/versions/2", 404, "model 'net' has no version '2'; served: '1', '3'"),
        ("GET", "/v2/models/raw/versions/x", 404, "model 'raw' has no version 'x'; served: '1'"),
        ("POST", "/v1/models/digits:predict", 404, "Servable not found for request: Latest(digits)"),
        ("POST", "/v1/models/net/versions/2:predict", 404, "Servable not found for request: Specific(net, 2)"),
        ("GET", "/v1/models/net/versions/2", 404, "Could not find version 2 of model net"),
        ("POST", "/events", 404, "of several models, none is the one that answers events"),
    ],
)
def test_what_there_is_not_is_told_with_what_there_is(
    client: Any, method: str, path: str, status: int, said: str
) -> None:
    answer = client.request(method, path, json={"instances": [[[[0]] * 8] * 8]} if method == "POST" else None)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_the_metrics_tell_them_apart(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path, raw: np.ndarray
) -> None:
    with start(folder, WORKERS="2") as server, server.client() as client:
        for _ in range(3):
            infer(client, "net/versions/1", raw)
        infer(client, "raw", raw[:2].astype(np.float32), "FP32")
        seen = scrape(client)
    assert seen["modelyard_samples_total", labels(model="net", version="1")] == 21
    assert seen["modelyard_samples_total", labels(model="net", version="3")] == 0
    assert seen["modelyard_samples_total", labels(model="raw", version="1")] == 2
    assert seen["modelyard_inference_seconds_count", labels(model="net", version="1")] == 3
    assert sum(name == "modelyard_model_info" for name, _ in seen) == 3
    listening = server.wait_for_log("listening")
    assert listening["models"].keys() == {"net/1", "net/3", "raw/1"}


def test_many_clients_get_each_model_its_own_answers(client: Any, raw: np.ndarray) -> None:
    alone = {path: probabilities(infer(client, path, raw)) for path in ("net/versions/1", "net/versions/3")}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = [*alone] * 40
        answers = pool.map(lambda path: probabilities(infer(client, path, raw)), paths)
        for path, answer in zip(paths, answers, strict=True):
            np.testing.assert_array_equal(answer, alone[path])


def test_grpc_finds_them_too(server: Any, client: Any, raw: np.ndarray) -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    pytest.importorskip("tritonclient.grpc", reason="tritonclient[grpc] is not installed")
    from tests.serving.grpc.asking import channel, messages, refusal, request_of, stubs

    with channel(server) as one:
        stub = stubs.GRPCInferenceServiceStub(one)
        for version in ("1", "3", ""):
            request = request_of(raw)
            request.model_name, request.model_version = "net", version
            for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                answer = stub.ModelInfer(request, compression=compression)
                assert (answer.model_name, answer.model_version) == ("net", version or "3")
                got = np.array(answer.outputs[0].contents.fp32_contents, np.float32)
                wanted = probabilities(infer(client, f"net/versions/{version or 3}", raw))
                np.testing.assert_allclose(got, wanted.ravel(), atol=1e-6)
        assert stub.ServerReady(messages.ServerReadyRequest()).ready
        assert stub.ModelReady(messages.ModelReadyRequest(name="raw")).ready
        assert [*stub.ModelMetadata(messages.ModelMetadataRequest(name="net")).versions] == ["1", "3"]
        code, said = refusal(stub.ModelInfer, request_of(raw))
        assert (code, said) == (grpc.StatusCode.NOT_FOUND, "unknown model 'digits'; served: 'net', 'raw'")
        broken = one.unary_unary("/inference.GRPCInferenceService/ModelInfer", lambda data: data, lambda data: data)
        assert refusal(broken, b"\x0a\xff")[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_grpc_of_tf_serving_finds_them_too(server: Any, raw: np.ndarray, client: Any) -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    pytest.importorskip("tensorflow_serving", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as one:
        status = model_service_pb2_grpc.ModelServiceStub(one).GetModelStatus
        asked = get_model_status_pb2.GetModelStatusRequest
        assert [v.version for v in status(asked(model_spec={"name": "net"})).model_version_status] == [3, 1]
        request = asked(model_spec={"name": "net", "version": {"value": 1}})
        assert [v.version for v in status(request).model_version_status] == [1]
        assert [v.version for v in status(asked(model_spec={"name": "raw"})).model_version_status] == [1]


def test_a_body_that_one_may_take_is_too_large_for_another(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    for name, model in {"small": "float32", "raw": "float32-raw"}.items():
        shutil.copytree(models / model, tmp_path / name)
    with start(tmp_path, MAX_BATCH="2") as server, server.client() as client:
        small, large = 2 * 64 * 5 * 2 + (1 << 20), 2 * 64 * 27 * 2 + (1 << 20)
        body = json.dumps({"instances": [], "more": "x" * ((small + large) // 2)})
        assert client.post("/v1/models/small:predict", content=body).status_code == 413
        assert client.post("/v1/models/raw:predict", content=body).status_code == 400
        packed = {"content-encoding": "gzip"}
        assert client.post("/v1/models/small:predict", content=gzip.compress(body.encode()), headers=packed).status_code == 413  # fmt: skip


def test_the_server_says_that_it_has_sequences_if_any_of_its_models_has() -> None:
    idle: Any = None  # nothing is predicted
    plain, keeping = (
        Open(Served(name, "1", Facts(Path("m"), "onnx", (), ()), no_sequences=why), idle, Limits(1 << 20))
        for name, why in (("a", "it keeps nothing"), ("b", ""))
    )
    assert Repository([plain, keeping]).asked("/v2") is keeping
    assert Repository([plain, plain]).first is plain
    assert Repository([plain, keeping]).asked("/v2/models/a/infer") is plain
    assert Repository([keeping]).asked("/v2/models/a/infer") is keeping, "which will refuse it"


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(model_dir=folder, **changes)


def test_a_folder_with_a_models_facts_is_one(tmp_path: Path) -> None:
    assert [(one.folder, one.name, one.version) for one in places(settings(tmp_path, model_version="7"))] == [
        (tmp_path, None, "7")
    ], "and so is one with nothing, of which the server says that there is no model"
    for name in ("model.json", "a/model.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [one.name for one in places(settings(tmp_path))] == [None]
    assert [one.name for one in places(settings(tmp_path / "not there"))] == [None]


def test_folders_are_models_and_numbers_versions_of_one(tmp_path: Path) -> None:
    for name in ("b", "a/10", "a/9", "c/x", ".d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").touch()
    found = [(one.folder.relative_to(tmp_path).as_posix(), one.name, one.version) for one in places(settings(tmp_path))]
    assert found == [("a/9", "a", "9"), ("a/10", "a", "10"), ("b", "b", "1")]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a b",), "a model cannot be called 'a b'; allowed: letters"),
        (("a/1", "a/01"), "two folders are one version: 01, 1"),
    ],
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, names: tuple[Any, ...], said: str) -> None:
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").touch()
    with pytest.raises(StartError, match=said):
        places(settings(tmp_path))


def test_what_is_about_one_model_is_refused_with_several(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path
) -> None:
    said = r"MODELYARD_HANDLERS: it is about one model, and .* several: net, raw"
    with pytest.raises(AssertionError, match=said), start(folder, HANDLERS="{}"):
        pass


def test_each_of_several_has_handlers_of_its_own(
    start: Callable[..., contextlib.AbstractContextManager[Running]], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "models")
    (tmp_path / "first_two.py").write_text(
        "def first_two(place):\n"
        "    given, taken = place.tensor('firsts', shape=[2]), place.tensor('probabilities', shape=('classes',))\n"
        "    run = lambda tensors: {'firsts': tensors['probabilities'][:, :2]}\n"
        "    return place.handler(run, [taken], [given])\n"
    )
    step = {"name": "first-two", "open": "first_two:first_two", "params": {}}
    said = json.dumps({"net/3": {"before": [], "after": [step]}})
    with start(tmp_path / "models", cwd=tmp_path, HANDLERS=said) as server, server.client() as one:
        outputs = {name: one.get(f"/v2/models/{name}").json()["outputs"] for name in ("net", "net/versions/1", "raw")}
    assert [output["name"] for output in outputs["net"]] == ["firsts"]
    assert [output["name"] for output in outputs["net/versions/1"]] == ["probabilities"]
    assert [output["name"] for output in outputs["raw"]] == ["probabilities"]
