"""The samples of a request, against the bodies and messages of TF Serving's own sources and tests."""

from __future__ import annotations

import base64
import contextlib
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
from tests.serving.conftest import Running
from tests.serving.tfserving.asking import PREDICT, SAMPLE, error

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda item: st.lists(item, max_size=5) | st.dictionaries(st.sampled_from(["input", "b64", "x"]), item, max_size=3),
    max_leaves=30,
)


def forms(raw: Any) -> dict[str, Any]:
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
def test_predictions_are_those_of_the_interpreter(
    client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray], form: Any
) -> None:
    body, key = forms(raw)[form]

    answer = client.post(PREDICT, json=body)

    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == [key]
    np.testing.assert_allclose(answer.json()[key], expected(models / "float32", raw), atol=1e-6)


def table() -> dict[str, tuple[Any, ...]]:
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
def test_wrong_requests_get_tf_servings_error(client: httpx.Client, case: Any) -> None:
    body, message = table()[case]

    answer = client.post(PREDICT, content=body if isinstance(body, bytes) else json.dumps(body))

    assert message in error(answer)
    assert answer.status_code == 400


def test_a_long_value_is_not_sent_back(client: httpx.Client) -> None:
    assert len(error(client.post(PREDICT, json={"instances": [SAMPLE] * 20, "inputs": 1}))) < 400


@pytest.mark.parametrize("value", [1e39, -1e39, 10**60])
def test_a_float_that_float32_cannot_hold_is_400(raw_client: httpx.Client, value: float) -> None:
    sample = np.zeros((8, 8, 1)).tolist()
    sample[0][0][0] = value

    answer = raw_client.post(PREDICT, json={"instances": [sample]})

    assert answer.status_code == 400
    assert "to float without loss of precision." in error(answer)


def test_integers_are_taken_as_floats(
    raw_client: httpx.Client, models: Path, raw: np.ndarray, expected: Callable[[Path, np.ndarray], np.ndarray]
) -> None:
    answer = raw_client.post(PREDICT, json={"instances": raw.tolist()})

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "float32", raw), atol=1e-6)


def test_nan_for_an_integer_model_is_400(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "int8-io-raw") as server, server.client() as client:
        answer = client.post(PREDICT, content=json.dumps({"instances": np.full((1, 8, 8, 1), math.nan).tolist()}))

    assert (answer.status_code, error(answer)) == (
        400,
        "input 'input': a sample holds NaN, which the model's int8 input cannot represent",
    )


def test_values_out_of_the_data_sets_range_are_400(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "ranged") as server, server.client() as client:
        fits = client.post(PREDICT, json={"instances": np.full((1, 8, 8, 1), 16).tolist()})
        beyond = client.post(PREDICT, json={"instances": np.full((1, 8, 8, 1), 17).tolist()})

    assert fits.status_code == 200
    assert (beyond.status_code, error(beyond)) == (400, "input 'input' holds 17; allowed: 0 to 16")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON | st.fixed_dictionaries({}, optional={"instances": JSON, "inputs": JSON, "signature_name": JSON}))
def test_no_json_is_a_server_error(client: httpx.Client, body: Any) -> None:
    answer = client.post(PREDICT, content=json.dumps(body))

    assert answer.status_code == 400, answer.text
    assert error(answer)
