"""The Open Inference Protocol v2, against its specification."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.serving import __version__

INFER = "/v2/models/digits/infer"
LENGTH = "Inference-Header-Content-Length"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda item: st.lists(item, max_size=5) | st.dictionaries(st.text(max_size=5), item, max_size=3),
    max_leaves=20,
)


def error(response: Any) -> Any:
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return response.json()["error"]


def tensor(raw: Any, **changes: Any) -> dict[str, Any]:
    known = {"name": "input", "datatype": "UINT8", "shape": list(raw.shape), "data": raw.tolist()}
    return {key: value for key, value in (known | changes).items() if value is not ...}


def binary(raw: Any, **request: Any) -> dict[str, Any]:
    data = raw.tobytes()
    head = tensor(raw, data=..., parameters={"binary_data_size": len(data)})
    text = json.dumps({"inputs": [head], **request}).encode()
    return {"content": text + data, "headers": {LENGTH: str(len(text)), "content-type": "application/octet-stream"}}


def test_health(client: httpx.Client) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_server_metadata(client: httpx.Client) -> None:
    answer = client.get("/v2").json()

    assert answer == {
        "name": "modelyard",
        "version": __version__,
        "extensions": ["binary_tensor_data", "classification", "schedule_policy"],
    }


def test_model_metadata(client: httpx.Client) -> None:
    golden = {
        "name": "digits",
        "versions": ["1"],
        "platform": "litert_tflite",
        "inputs": [{"name": "input", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
        "parameters": {
            "class_names": [str(number) for number in range(10)],
            "format": "tflite",
            "variant": "float32",
            "sha256": "0f" * 32,
        },
    }

    assert client.get("/v2/models/digits").json() == golden
    assert client.get("/v2/models/digits/versions/1").json() == golden
    assert client.get("/v2/models/digits/ready").json() == {"name": "digits", "ready": True}
    assert client.get("/v2/models/digits/versions/1/ready").json() == {"name": "digits", "ready": True}


@pytest.mark.parametrize("form", ["nested", "flat", "outputs", "version"])
def test_infer(
    client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray], form: str
) -> None:
    data = raw.ravel().tolist() if form == "flat" else raw.tolist()
    body = {"id": "q-\u00e9", "parameters": {"x": 1}, "inputs": [tensor(raw, data=data)]}
    if form == "outputs":
        body["outputs"] = [{"name": "probabilities"}]

    answer = client.post("/v2/models/digits/versions/1/infer" if form == "version" else INFER, json=body)

    assert answer.status_code == 200, answer.text
    (output,) = answer.json().pop("outputs")
    assert {key: answer.json()[key] for key in ("model_name", "model_version", "id")} == {
        "model_name": "digits",
        "model_version": "1",
        "id": "q-\u00e9",
    }
    data = output.pop("data")
    assert output == {"name": "probabilities", "datatype": "FP32", "shape": [7, 10]}
    np.testing.assert_allclose(np.reshape(data, (7, 10)), expected(models / "float32", raw), atol=1e-6)


def test_no_id_gives_none(client: httpx.Client, raw: np.ndarray) -> None:
    assert "id" not in client.post(INFER, json={"inputs": [tensor(raw)]}).json()


def test_a_model_of_float_samples_says_fp32(
    raw_client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    assert raw_client.get("/v2/models/digits").json()["inputs"][0]["datatype"] == "FP32"

    answer = raw_client.post(INFER, json={"inputs": [tensor(raw, datatype="FP32")]}).json()

    np.testing.assert_allclose(
        np.reshape(answer["outputs"][0]["data"], (7, 10)), expected(models / "float32", raw), atol=1e-6
    )


@pytest.mark.parametrize(
    "request_",
    [
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]},
        {"parameters": {"binary_data_output": True}},
        {"parameters": {"binary_data_output": True}, "outputs": [{"name": "probabilities"}]},
    ],
)
def test_binary_both_ways(
    client: httpx.Client,
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    request_: dict[str, Any],
) -> None:
    answer = client.post(INFER, **binary(raw, id="7", **request_))

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers[LENGTH])
    head, data = json.loads(answer.content[:size]), answer.content[size:]
    assert head["id"] == "7"
    assert head["outputs"] == [
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [7, 10],
            "parameters": {"binary_data_size": len(data)},
        }
    ]
    np.testing.assert_allclose(np.frombuffer(data, "<f4").reshape(7, 10), expected(models / "float32", raw), atol=1e-6)


def test_binary_in_and_json_out(
    client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    answer = client.post(INFER, **binary(raw)).json()

    np.testing.assert_allclose(
        np.reshape(answer["outputs"][0]["data"], (7, 10)), expected(models / "float32", raw), atol=1e-6
    )


def test_nan_in_an_answer_needs_binary(raw_client: httpx.Client, raw: np.ndarray) -> None:
    floats = np.full((1, 8, 8, 1), math.nan, "<f4")
    body = binary(floats)
    body["content"] = body["content"].replace(b"UINT8", b"FP32 ")
    data = floats.tobytes()
    head = tensor(floats, data=..., datatype="FP32", parameters={"binary_data_size": len(data)})

    def ask(**request: Any) -> Any:
        text = json.dumps({"inputs": [head], **request}).encode()
        return raw_client.post(INFER, content=text + data, headers={LENGTH: str(len(text))})

    refused, given_ = ask(), ask(parameters={"binary_data_output": True})

    assert refused.status_code == 400
    assert "which JSON cannot carry" in error(refused)
    assert np.isnan(np.frombuffer(given_.content[int(given_.headers[LENGTH]) :], "<f4")).all()


ZERO = np.zeros((1, 8, 8, 1), np.uint8)


def table() -> dict[str, tuple[Any, ...]]:
    def one(**changes: Any) -> dict[str, list[Any]]:
        return {"inputs": [tensor(ZERO, **changes)]}

    def asks(output: Any, **request: Any) -> dict[str, Any]:
        return {**one(), "outputs": [output], **request}

    return {
        "no JSON": (b"{", "the request is not JSON"),
        "empty": (b"", "the request is not JSON"),
        "NaN": (b'{"inputs": NaN}', "the request is not JSON"),
        "deep": (b"[" * 9000, "the request is not JSON"),
        "list": ([], "the request is [], expected an object"),
        "no inputs": ({}, "'inputs' must be a list of one tensor, 'input'"),
        "two inputs": ({"inputs": [tensor(ZERO)] * 2}, "'inputs' must be a list of one tensor, 'input'"),
        "text": ({"inputs": ["x"]}, 'an input is "x", expected an object'),
        "name": (one(name="x"), "unknown input \"x\"; model 'digits' takes 'input'"),
        "no name": (one(name=...), "unknown input null"),
        "datatype": (one(datatype="FP32"), "input 'input' has datatype \"FP32\", expected 'UINT8'"),
        "no datatype": (one(datatype=...), "input 'input' has datatype null"),
        "no shape": (one(shape=...), "input 'input': 'shape' is null"),
        "text shape": (one(shape="8"), "input 'input': 'shape' is \"8\""),
        "bool shape": (one(shape=[True, 8, 8, 1]), "expected a list of whole numbers"),
        "negative shape": (one(shape=[-1, 8, 8, 1]), "expected a list of whole numbers"),
        "rank": (one(shape=[8, 8, 1]), "input 'input' has shape [8, 8, 1], expected [-1, 8, 8, 1]"),
        "size": (one(shape=[1, 8, 9, 1]), "input 'input' has shape [1, 8, 9, 1], expected [-1, 8, 8, 1]"),
        "no rank": (one(shape=[]), "input 'input' has shape [], expected [-1, 8, 8, 1]"),
        "empty batch": (one(shape=[0, 8, 8, 1], data=[]), "input 'input' holds no samples"),
        "large batch": (one(shape=[33, 8, 8, 1]), "input 'input' holds 33 samples; at most 32 are taken"),
        "huge batch": (one(shape=[2**30, 8, 8, 1]), "at most 32 are taken"),
        "no data": (one(data=...), "input 'input': 'data' must be a list"),
        "data no list": (one(data=5), "input 'input': 'data' must be a list"),
        "few": (one(data=[1]), "input 'input': 'data' has shape [1], expected [1, 8, 8, 1], or flat with 64 values"),
        "other nesting": (one(data=np.zeros((8, 8)).astype(int).tolist()), "input 'input': 'data' has shape [8, 8]"),
        "ragged": (one(data=[[[[1]] * 8, [[1, 2]] * 8] * 4]), "input 'input': Encountered list at unexpected size: 2"),
        "many": (one(data=[1] * 65), "input 'input': 'data' has shape [65], expected [1, 8, 8, 1]"),
        "float data": (
            one(data=[0.5] * 64),
            "input 'input': JSON Value: 0.5 Type: Number is not of expected type: uint8",
        ),
        "text data": (one(data=["a"] * 64), "is not of expected type: uint8"),
        "bool data": (one(data=[True] * 64), "is not of expected type: uint8"),
        "range": (one(data=[256] * 64), "JSON Value: 256 Type: Number is not of expected type: uint8"),
        "id": ({**one(), "id": 5}, "'id' is 5, expected text"),
        "parameters": (one(parameters=5), "'parameters' is 5, expected an object"),
        "request parameters": ({**one(), "parameters": 5}, "'parameters' is 5, expected an object"),
        "flag": (
            {**one(), "parameters": {"binary_data_output": 1}},
            "'binary_data_output' is 1, expected true or false",
        ),
        "outputs": ({**one(), "outputs": 5}, "'outputs' must be a list of one tensor, 'probabilities'"),
        "output": (asks(5), "an output is 5, expected an object"),
        "output name": (asks({"name": "x"}), "unknown output \"x\"; model 'digits' answers 'probabilities'"),
        "binary without": (
            one(data=..., parameters={"binary_data_size": 64}),
            "'binary_data_size' is 64, but 0 bytes follow",
        ),
        "data and binary": (one(parameters={"binary_data_size": 64}), "both 'data' and 'binary_data_size'"),
        "binary size": (one(data=..., parameters={"binary_data_size": True}), "'binary_data_size' is true"),
    }


@pytest.mark.parametrize("case", table())
def test_wrong_requests_get_the_protocols_error(client: httpx.Client, case: Any) -> None:
    body, message = table()[case]

    answer = client.post(INFER, content=body if isinstance(body, bytes) else json.dumps(body))

    assert message in error(answer)
    assert answer.status_code == 400


@pytest.mark.parametrize("length", ["", "x", "-1", "1000000", "9" * 30, "\u00b2"])
def test_a_wrong_header_length_is_400(client: httpx.Client, raw: np.ndarray, length: str) -> None:
    answer = client.post(INFER, content=binary(raw)["content"], headers={LENGTH.encode(): length.encode("latin-1")})

    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in error(answer)


@pytest.mark.parametrize("extra", [b"", b"x", b"xx"])
def test_bytes_that_do_not_fit_are_400(client: httpx.Client, raw: np.ndarray, extra: bytes) -> None:
    body = binary(raw)
    content = body["content"][:-1] + extra

    answer = client.post(INFER, content=content, headers=body["headers"])

    assert answer.status_code == (200 if len(extra) == 1 else 400)
    if len(extra) != 1:
        assert "bytes follow the JSON" in error(answer)


def test_bytes_without_a_binary_input_are_400(client: httpx.Client, raw: np.ndarray) -> None:
    text = json.dumps({"inputs": [tensor(raw)]}).encode()

    answer = client.post(INFER, content=text + b"more", headers={LENGTH: str(len(text))})

    assert error(answer) == "4 bytes follow the JSON, but no input has 'binary_data_size'"


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v2/models/half", 404, "unknown model 'half'; served: 'digits'"),
        ("GET", "/v2/models/half/ready", 404, "unknown model 'half'"),
        ("POST", "/v2/models/half/infer", 404, "unknown model 'half'"),
        ("GET", "/v2/models/digits/versions/2", 404, "model 'digits' has no version '2'; served: '1'"),
        ("POST", "/v2/models/digits/versions/x/infer", 404, "model 'digits' has no version 'x'; served: '1'"),
        ("GET", INFER, 405, "Method Not Allowed: GET /v2/models/digits/infer"),
        ("POST", "/v2/health/live", 405, "Method Not Allowed: POST /v2/health/live"),
        ("GET", "/v2/models", 404, "Not Found: GET /v2/models"),
        ("GET", "/v3", 404, "Not Found: GET /v3"),
        ("GET", "/", 404, "Not Found: GET /"),
    ],
)
def test_paths_that_do_not_answer(client: httpx.Client, method: str, path: str, status: int, message: str) -> None:
    answer = client.request(method, path)

    assert answer.status_code == status
    assert message in error(answer)


def test_a_large_body_is_413(client: httpx.Client) -> None:
    answer = client.post(INFER, content=b" " * 200_001)

    assert (answer.status_code, error(answer)) == (413, "the request's body is larger than 200000 bytes")


TENSOR = st.fixed_dictionaries(
    {"name": st.just("input") | JSON, "datatype": st.just("UINT8") | JSON, "shape": st.just([1, 8, 8, 1]) | JSON},
    optional={"data": st.lists(st.integers(-1, 300), min_size=63, max_size=65) | JSON, "parameters": JSON},
)
REQUEST = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=2) | JSON}, optional={"outputs": JSON, "parameters": JSON, "id": JSON}
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | REQUEST)
def test_no_json_is_a_server_error(client: httpx.Client, body: Any) -> None:
    answer = client.post(INFER, content=json.dumps(body))

    assert answer.status_code in (200, 400), answer.text
    assert answer.status_code == 200 or error(answer)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=100), length=st.integers(-2, 120) | st.text("0123456789abc -", max_size=4))
def test_no_bytes_are_a_server_error(client: httpx.Client, body: Any, length: Any) -> None:
    answer = client.post(INFER, content=body, headers={LENGTH: str(length).strip()})

    assert answer.status_code == 400


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True])
@pytest.mark.parametrize("asks_for_output", [False, True])
def test_what_tritonclient_writes_is_answered(
    client: httpx.Client,
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    binary_in: bool,
    binary_out: bool,
    asks_for_output: bool,
) -> None:
    """The bodies of tritonclient.http 2.x: it writes `true` or `false` into every one of them."""
    request: dict[str, Any] = {"id": "", "parameters": {"binary_data_output": binary_out}}
    if asks_for_output:
        request = {"id": "7", "outputs": [{"name": "probabilities", "parameters": {"binary_data": binary_out}}]}
    if binary_in:
        answer = client.post(INFER, **binary(raw, **request))
    else:
        answer = client.post(INFER, json={**request, "inputs": [tensor(raw, data=raw.ravel().tolist())]})

    assert answer.status_code == 200, answer.text
    if binary_out:
        data = np.frombuffer(answer.content[int(answer.headers[LENGTH]) :], "<f4")
    else:
        data = answer.json()["outputs"][0]["data"]
    np.testing.assert_allclose(np.reshape(data, (7, 10)), expected(models / "float32", raw), atol=1e-6)


def test_true_among_the_values_is_refused_where_it_stands_elsewhere_too(client: httpx.Client) -> None:
    body = {"parameters": {"binary_data_output": True}, "inputs": [tensor(ZERO, data=[*[0] * 63, True])]}

    assert "JSON Value: true Type: True" in error(client.post(INFER, json=body))
