"""TF Serving's REST API, against the bodies, codes and messages of TF Serving's own sources and tests."""

from __future__ import annotations

import base64
import gzip
import json
import math
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PREDICT = "/v1/models/digits:predict"
SAMPLE = np.zeros((8, 8, 1), int).tolist()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda item: st.lists(item, max_size=5) | st.dictionaries(st.sampled_from(["input", "b64", "x"]), item, max_size=3),
    max_leaves=30,
)


def error(response):
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return response.json()["error"]


def test_status(client):
    ok = {"error_code": "OK", "error_message": ""}
    golden = {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": ok}]}

    for path in (
        "/v1/models/digits",
        "/v1/models/digits/versions/1",
        "/V1/Models/digits",
        "/v1/models/digits/versions/01",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, golden), path
        assert answer.headers["content-type"] == "application/json"


def test_metadata(client):
    def info(name, dtype, *sizes):
        dims = [{"size": size, "name": ""} for size in sizes]
        return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": f"{name}:0"}

    signature = {
        "inputs": {"input": info("input", "DT_UINT8", "-1", "8", "8", "1")},
        "outputs": {"probabilities": info("probabilities", "DT_FLOAT", "-1", "10")},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    golden = {
        "model_spec": {"name": "digits", "signature_name": "", "version": "1"},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }

    assert client.get("/v1/models/digits/metadata").json() == golden
    assert client.get("/v1/models/digits/versions/1/metadata").json() == golden


def test_metadata_fits_the_proto_of_tf_serving(client):
    """TensorFlow knows SignatureDef; its JSON form must take what the server says."""
    meta_graph = pytest.importorskip("tensorflow.core.protobuf.meta_graph_pb2", exc_type=ImportError)
    from google.protobuf import json_format

    signatures = client.get("/v1/models/digits/metadata").json()["metadata"]["signature_def"]["signature_def"]
    parsed = json_format.ParseDict(signatures["serving_default"], meta_graph.SignatureDef())

    assert [dim.size for dim in parsed.inputs["input"].tensor_shape.dim] == [-1, 8, 8, 1]


def forms(raw):
    """Every way to say the same batch, with the key of the answer."""
    rows = raw.tolist()
    data = [{"b64": base64.b64encode(sample.tobytes()).decode()} for sample in raw]
    return {
        "instances": ({"instances": rows}, "predictions"),
        "named instances": ({"instances": [{"input": row} for row in rows]}, "predictions"),
        "inputs": ({"inputs": rows}, "outputs"),
        "named inputs": ({"inputs": {"input": rows}}, "outputs"),
        "signature": ({"signature_name": "serving_default", "instances": rows}, "predictions"),
        "empty signature": ({"signature_name": "", "instances": rows}, "predictions"),
        "unknown keys": ({"instances": rows, "extra": True}, "predictions"),
        "b64 instances": ({"instances": data}, "predictions"),
        "named b64 instances": ({"instances": [{"input": row} for row in data]}, "predictions"),
        "b64 inputs": ({"inputs": {"b64": base64.b64encode(raw.tobytes()).decode()}}, "outputs"),
    }


@pytest.mark.parametrize("form", forms(np.zeros((1, 1), np.uint8)))
def test_predictions_are_those_of_the_interpreter(client, models, raw, expected, form):
    body, key = forms(raw)[form]

    answer = client.post(PREDICT, json=body)

    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == [key]
    np.testing.assert_allclose(answer.json()[key], expected(models / "float32", raw), atol=1e-6)


@pytest.mark.parametrize("name", ["int8", "int8-io", "uint8-io", "int16-io", "batch-3"])
def test_predictions_of_every_kind_of_model(start, models, raw, expected, name):
    with start(models / name) as server, server.client() as client:
        answer = client.post(PREDICT, json={"instances": raw.tolist()})

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / name, raw), atol=1e-6)


def test_numbers_are_the_shortest_that_give_the_float32_back(client, raw):
    numbers = np.ravel(client.post(PREDICT, json={"instances": raw.tolist()}).json()["predictions"])

    shortest = [np.format_float_positional(np.float32(number), unique=True) for number in numbers]
    assert len(numbers) == 70
    assert numbers.tolist() == [float(text) for text in shortest]


@pytest.mark.parametrize("path", ["/v1/models/digits/versions/1:predict", "/V1/MODELS/digits:PREDICT"])
def test_other_paths_to_predict(client, raw, path):
    assert client.post(path, json={"instances": raw.tolist()}).status_code == 200


PATHS = [
    ("GET", "/v1/models/half", 404, "Could not find any versions of model half"),
    ("GET", "/v1/models/Digits", 404, "Could not find any versions of model Digits"),
    ("GET", "/v1/models/digits/versions/2", 404, "Could not find version 2 of model digits"),
    ("GET", "/v1/models/half/metadata", 404, "Servable not found for request: Latest(half)"),
    ("GET", "/v1/models/digits/versions/2/metadata", 404, "Servable not found for request: Specific(digits, 2)"),
    ("POST", "/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
    ("POST", "/v1/models/digits/versions/2:predict", 404, "Servable not found for request: Specific(digits, 2)"),
    ("POST", "/v1/models/digits/labels/canary:predict", 400, "Unrecognized servable version label: canary"),
    ("GET", "/v1/models/digits/labels/canary", 400, "Unrecognized servable version label: canary"),
    ("GET", f"/v1/models/digits/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
    ("POST", f"/v1/models/digits/versions/{'9' * 5000}:predict", 400, "Failed to convert version: 999"),
    ("GET", "/v1/models", 400, "Missing model name in request."),
    ("GET", "/v1/models/digits:predict", 400, "Malformed request: GET /v1/models/digits:predict"),
    ("POST", "/v1/models/digits", 400, "Malformed request: POST /v1/models/digits"),
    ("POST", "/v1/models/digits:explain", 400, "Malformed request: POST /v1/models/digits:explain"),
    (
        "POST",
        "/v1/models/digits/versions/one:predict",
        400,
        "Malformed request: POST /v1/models/digits/versions/one:predict",
    ),
    ("DELETE", "/v1/models/digits", 400, "Malformed request: DELETE /v1/models/digits"),
    ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
    ("POST", "/v1/models/digits:classify", 400, "Was: tensorflow/serving/predict"),
    ("POST", "/v1/models/digits:regress", 400, "Was: tensorflow/serving/predict"),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), PATHS)
def test_paths_that_do_not_answer(client, method, path, status, message):
    body = json.dumps({"instances": [SAMPLE]}) if method == "POST" else None

    answer = client.request(method, path, content=body)

    assert answer.status_code == status
    assert message in error(answer)


def table():
    cut = [SAMPLE, SAMPLE[:7]]
    wrong = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "
    return {
        "empty": (b"", "JSON Parse error: The document is empty"),
        "no JSON": (b"{", "JSON Parse error: "),
        "bad UTF-8": (b'{"instances": ["\xff"]}', "JSON Parse error: "),
        "deep": (b"[" * 9000, "JSON Parse error: "),
        "deep with NaN": (b'{"instances": ' + b"[" * 9000 + b"NaN", "JSON Parse error: "),
        "huge number": (b'{"instances": [1e999]}', "JSON Parse error: "),
        "huge number beside NaN": (b'{"instances": [1e999, NaN]}', "JSON Parse error: "),
        "no object": ([], "JSON Value: [] Is not object"),
        "no key": ({}, "Missing 'inputs' or 'instances' key"),
        "both keys": ({"instances": [], "inputs": []}, "expecting only one of 'inputs' or 'instances' keys to exist"),
        "signature": ({"signature_name": 5}, "'signature_name' key must be a string value."),
        "no such signature": (
            {"signature_name": "x", "instances": [SAMPLE]},
            'Serving signature name: "x" not found in signature def',
        ),
        "no list": ({"instances": 5}, "Excepting 'instances' to be an list/array"),
        "null": ({"instances": None}, "Excepting 'instances' to be an list/array"),
        "no instances": ({"instances": []}, "No values in 'instances' array"),
        "scalars": ({"instances": [1, 2]}, "input 'input' has shape [2], expected [-1,8,8,1]"),
        "no channel": (
            {"instances": np.zeros((2, 8, 8), int).tolist()},
            "input 'input' has shape [2,8,8], expected [-1,8,8,1]",
        ),
        "one too small": ({"instances": cut}, wrong.format(1) + "Expecting tensor size: 64 but got: 56"),
        "other shape of one size": (
            {"instances": [[1], [[1]]]},
            wrong.format(1) + "Expecting shape [1] but got: [1,1]",
        ),
        "ragged": ({"instances": [[[1], [2, 3]]]}, wrong.format(0) + "Encountered list at unexpected size: 2"),
        "mixed": ({"instances": [{"input": SAMPLE}, SAMPLE]}, "Expecting object but got list at item 1 of input list"),
        "mixed other": ({"instances": [SAMPLE, {}]}, "Expecting value/list but got object at item 1 of input list"),
        "other name": ({"instances": [{"x": SAMPLE}]}, "JSON object: does not have named input: x"),
        "no name": ({"instances": [{}]}, "keys must be equal to: input"),
        "other input": ({"inputs": {"x": [SAMPLE]}}, "Missing named input: input in 'inputs' object."),
        "scalar input": ({"inputs": 5}, "input 'input' has shape [], expected [-1,8,8,1]"),
        "no inputs": ({"inputs": []}, "input 'input' has shape [0], expected [-1,8,8,1]"),
        "empty rows": ({"instances": [[]]}, "input 'input' has shape [1,0], expected [-1,8,8,1]"),
        "float": ({"instances": [[[[0.5]]]]}, "JSON Value: 0.5 Type: Number is not of expected type: uint8"),
        "text": ({"instances": [[[["5"]]]]}, 'JSON Value: "5" Type: String is not of expected type: uint8'),
        "true": ({"instances": [[[[1, True]]]]}, "JSON Value: true Type: True is not of expected type: uint8"),
        "null inside": ({"instances": [[[[None]]]]}, "JSON Value: null Type: Null is not of expected type: uint8"),
        "above 255": ({"instances": [[[[256]]]]}, "JSON Value: 256 Type: Number is not of expected type: uint8"),
        "below 0": ({"instances": [[[[-1]]]]}, "JSON Value: -1 Type: Number is not of expected type: uint8"),
        "NaN": (b'{"instances": [[[[NaN]]]]}', "JSON Value: NaN Type: Number is not of expected type: uint8"),
        "bad b64": ({"instances": [{"b64": "!"}]}, wrong.format(0) + "Unable to base64 decode"),
        "short b64": ({"instances": [{"b64": "AAAA"}]}, "3 bytes do not fit uint8 of shape [8,8,1] (64 bytes)"),
        "short b64 batch": ({"inputs": {"b64": "AAAA"}}, "3 bytes do not fit uint8 of shape [-1,8,8,1]"),
        "no b64": ({"inputs": {"b64": ""}}, "input 'input' holds no samples"),
        "large batch": ({"instances": [SAMPLE] * 33}, "Task size 33 is larger than maximum input batch size 32"),
    }


@pytest.mark.parametrize("case", table())
def test_wrong_requests_get_tf_servings_error(client, case):
    body, message = table()[case]

    answer = client.post(PREDICT, content=body if isinstance(body, bytes) else json.dumps(body))

    assert message in error(answer)
    assert answer.status_code == 400


def test_a_long_value_is_not_sent_back(client):
    assert len(error(client.post(PREDICT, json={"instances": [SAMPLE] * 20, "inputs": 1}))) < 400


def test_a_large_body_is_413(client):
    text = b" " * 200_001

    for headers in ({}, {"transfer-encoding": "chunked"}):
        answer = client.post(PREDICT, content=iter([text]) if headers else text, headers=headers)
        assert (answer.status_code, error(answer)) == (413, "the request's body is larger than 200000 bytes")


def test_a_body_of_the_largest_size_is_read(client):
    text = json.dumps({"instances": [SAMPLE]}).encode()

    assert client.post(PREDICT, content=text.ljust(200_000)).status_code == 200


def test_gzip(client, models, raw, expected):
    body, headers = gzip.compress(json.dumps({"instances": raw.tolist()}).encode()), {"content-encoding": "gzip"}

    answer = client.post(PREDICT, content=body, headers=headers)
    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "float32", raw), atol=1e-6)

    bomb = client.post(PREDICT, content=gzip.compress(bytes(10_000_000)), headers=headers)
    assert (bomb.status_code, error(bomb)) == (413, "the request's body is larger than 200000 bytes when decompressed")
    for damaged in (body[:-9], b"text", body + b"more"):
        answer = client.post(PREDICT, content=damaged, headers=headers)
        assert answer.status_code == 400
        assert "not gzip" in error(answer)
    assert client.post(PREDICT, content=body, headers={"content-encoding": "br"}).status_code == 415


def test_nan_is_taken_and_given_as_tf_serving_does(raw_client, models, raw):
    rows = raw.astype(float).tolist()
    rows[1][0][0][0] = math.nan

    answer = raw_client.post(PREDICT, content=json.dumps({"instances": rows}))

    assert answer.status_code == 200
    assert "NaN" in answer.text
    predictions = np.array(json.loads(answer.text)["predictions"])
    assert np.isnan(predictions[1]).all()
    np.testing.assert_allclose(np.delete(predictions, 1, axis=0).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("value", [1e39, -1e39, 10**60])
def test_a_float_that_float32_cannot_hold_is_400(raw_client, value):
    sample = np.zeros((8, 8, 1)).tolist()
    sample[0][0][0] = value

    answer = raw_client.post(PREDICT, json={"instances": [sample]})

    assert answer.status_code == 400
    assert "to float without loss of precision." in error(answer)


def test_integers_are_taken_as_floats(raw_client, models, raw, expected):
    answer = raw_client.post(PREDICT, json={"instances": raw.tolist()})

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "float32", raw), atol=1e-6)


def test_nan_for_an_integer_model_is_400(start, models):
    with start(models / "int8-io-raw") as server, server.client() as client:
        answer = client.post(PREDICT, content=json.dumps({"instances": np.full((1, 8, 8, 1), math.nan).tolist()}))

    assert (answer.status_code, error(answer)) == (
        400,
        "input 'input': a sample holds NaN, which the model's int8 input cannot represent",
    )


def test_values_out_of_the_data_sets_range_are_400(start, models):
    with start(models / "ranged") as server, server.client() as client:
        fits = client.post(PREDICT, json={"instances": np.full((1, 8, 8, 1), 16).tolist()})
        beyond = client.post(PREDICT, json={"instances": np.full((1, 8, 8, 1), 17).tolist()})

    assert fits.status_code == 200
    assert (beyond.status_code, error(beyond)) == (400, "input 'input' holds 17; allowed: 0 to 16")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | st.fixed_dictionaries({}, optional={"instances": JSON, "inputs": JSON, "signature_name": JSON}))
def test_no_json_is_a_server_error(client, body):
    answer = client.post(PREDICT, content=json.dumps(body))

    assert answer.status_code == 400, answer.text
    assert error(answer)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), path=st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_bytes_and_no_path_is_a_server_error(client, body, path):
    assert client.post(PREDICT, content=body).status_code == 400
    assert client.post(f"/v1/models/{quote(path, safe='')}:predict", content=body).status_code in (400, 404)
