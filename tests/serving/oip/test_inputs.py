"""The tensors of a request: what its JSON tells of them, and their values in it or in the bytes behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.serving.small_models import PIXELS, TEXT, WEIGHTS, served

from modelyard.serving.errors import RequestError
from modelyard.serving.oip.inputs import NONE, Told, read_data, read_inputs, read_told
from modelyard.serving.served import Served
from modelyard.serving.tensor_facts import Input
from modelyard.serving.tensors import TensorError, to_bytes

MISSES = Input("row", np.dtype("float32"), (2,), may_miss=True)
ONE, SEVERAL = served(max_batch=4), served([PIXELS, WEIGHTS, TEXT], max_batch=4, max_length=9)
KINDS = {"pixels": "UINT8", "weights": "FP32", "text": "BYTES", "row": "FP32"}


def told(name: str, shape: Any, **said: Any) -> dict[str, Any]:
    return {"name": name, "datatype": KINDS[name], "shape": shape, **said}


def sized(name: str, shape: Any, size: Any) -> dict[str, Any]:
    return told(name, shape, parameters={"binary_data_size": size})


def read(inputs: Any, model: Served = ONE, *, literals: bool = True) -> dict[str, list[Any]]:
    found = read_inputs({"inputs": inputs}, model, literals=literals)
    return {name: array.tolist() for name, array in found.items()}


def refusal(inputs: Any, model: Served = ONE, binary: bytes = b"") -> str:
    with pytest.raises(TensorError) as caught:
        read_data(read_told(inputs, model), model, memoryview(binary), literals=True)
    return str(caught.value)


def test_values_are_nested_or_flat() -> None:
    for data in ([[1, 2], [3, 4]], [1, 2, 3, 4]):
        assert read([told("pixels", [2, 2], data=data)]) == {"pixels": [[1, 2], [3, 4]]}


def test_inputs_come_in_any_order_and_go_in_the_models() -> None:
    asked = [
        told("text", [1], data=["a"]),
        told("weights", [1, 3], data=[1, 2, 3]),
        told("pixels", [1, 2], data=[[5, 6]]),
    ]
    found = read(asked, SEVERAL)
    assert list(found) == ["pixels", "weights", "text"]
    assert found == {"pixels": [[5, 6]], "weights": [[1, 2, 3]], "text": [b"a"]}


def test_a_number_that_may_be_missing_is_null() -> None:
    found = read_inputs({"inputs": [told("row", [1, 2], data=[None, 2])]}, served([MISSES]), literals=True)
    np.testing.assert_array_equal(found["row"], [[np.nan, 2]])
    assert refusal([told("pixels", [1, 2], data=[None, 2])]).startswith("input 'pixels': JSON Value: null")


def test_a_truth_value_is_looked_for_where_there_may_be_some() -> None:
    assert refusal([told("pixels", [1, 2], data=[True, 2])]).startswith("input 'pixels': JSON Value: true")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4).flatmap(lambda size: st.tuples(
    arrays.arrays(np.uint8, (size, 2), elements=st.integers(0, 16)),
    arrays.arrays(np.float32, (size, 3)),
    arrays.arrays(object, size, elements=st.binary(max_size=5)),
    st.permutations(["pixels", "weights", "text"]),
    st.integers(0, 3),
)))  # fmt: skip
def test_bytes_are_the_values_in_the_requests_order(drawn: tuple[Any, ...]) -> None:
    """So many of them are in the JSON, if that can carry them, and the others are behind it."""
    *values, order, in_json = drawn
    samples = dict(zip(("pixels", "weights", "text"), values, strict=True))
    asked, behind = [], b""
    for number, name in enumerate(order):
        if number < in_json and name == "pixels":
            asked.append(told(name, list(samples[name].shape), data=samples[name].tolist()))
        else:
            data = to_bytes(samples[name])
            asked.append(sized(name, list(samples[name].shape), len(data)))
            behind += data
    found = read_data(read_told(asked, SEVERAL), SEVERAL, memoryview(behind), literals=False)
    assert list(found) == ["pixels", "weights", "text"]
    for name, array in samples.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_the_json_tells_is_told_before_any_data_is_looked_at() -> None:
    asked = [told("weights", [1, 3]), sized("text", [1], "rubbish"), told("pixels", [1, 2], data=None)]
    assert read_told(asked, SEVERAL) == {
        "weights": Told((1, 3), None, NONE),
        "text": Told((1,), "rubbish", NONE),
        "pixels": Told((1, 2), None, None),
    }


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (None, "'inputs' must be a list of 3 tensors, 'pixels', 'weights', 'text'"),
        ([told("pixels", [1, 2])], "'inputs' must be a list of 3 tensors"),
        ([5, 6, 7], "an input is 5, expected an object"),
        ([{"name": "pixel"}] * 3, "unknown input \"pixel\"; model 'net' takes 'pixels', 'weights', 'text'"),
        ([{"name": ["pixels"]}] * 3, "unknown input [\"pixels\"]; model 'net' takes 'pixels', 'weights', 'text'"),
        ([told("pixels", [1, 2])] * 3, "input 'pixels' is there twice; model 'net' takes"),
    ],
)
def test_other_inputs_than_the_models_are_told(inputs: Any, said: str) -> None:
    assert refusal(inputs, SEVERAL).startswith(said)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"datatype": "INT8"}, "input 'pixels' has datatype \"INT8\", expected 'UINT8'"),
        ({"datatype": ["UINT8"]}, "input 'pixels' has datatype [\"UINT8\"], expected 'UINT8'"),
        ({"shape": None}, "input 'pixels': 'shape' is null, expected a list of whole numbers"),
        ({"shape": [1.0, 2]}, "input 'pixels': 'shape' is [1.0,2], expected"),
        ({"shape": [True, 2]}, "input 'pixels': 'shape' is [true,2], expected"),
        ({"shape": [1 << 31, 2]}, "input 'pixels': 'shape' is [2147483648,2], expected"),
        ({"shape": [-1, 2]}, "input 'pixels': 'shape' is [-1,2], expected"),
        ({"shape": [1, 3]}, "input 'pixels' has shape [1, 3], expected [-1, 2]"),
        ({"shape": [2]}, "input 'pixels' has shape [2], expected [-1, 2]"),
        ({"shape": [5, 2]}, "input 'pixels' holds 5 samples; at most 4 are taken"),
        ({"shape": [0, 2]}, "input 'pixels' holds no samples"),
        ({"parameters": 5}, "'parameters' is 5, expected an object"),
    ],
)
def test_a_header_that_does_not_fit_is_told(header: Any, said: str) -> None:
    assert refusal([told("pixels", [1, 2], data=[1, 2]) | header]).startswith(said)


def test_of_a_model_of_one_input_one_is_asked_for_and_of_one_that_varies_the_right_number_of_axes() -> None:
    assert refusal(None) == "'inputs' must be a list of one tensor, 'pixels'"
    assert refusal([told("weights", [1])], served([WEIGHTS])) == "input 'weights' has shape [1], expected [-1, -1]"


def test_inputs_hold_as_many_samples_as_one_another_and_no_axis_is_too_long() -> None:
    text = told("text", [1], data=["a"])
    two = [told("pixels", [2, 2]), told("weights", [1, 3]), text]
    assert refusal(two, SEVERAL) == "input 'weights' holds 1 samples, but input 'pixels' holds 2"
    long = [told("pixels", [1, 2]), told("weights", [1, 10]), text]
    assert refusal(long, SEVERAL) == "input 'weights' has shape [1,10]: t is 10; allowed: 1 to 9"


def test_what_would_take_too_much_memory_is_refused_before_its_data_is_looked_at() -> None:
    small = served([WEIGHTS], max_batch=4, max_bytes=4 * (3 + 5))
    assert read_told([told("weights", [1, 5])], small)["weights"].shape == (1, 5)
    with pytest.raises(RequestError, match="of memory; at most 0 MiB are given to one") as caught:
        read_told([told("weights", [1, 6])], small)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "input 'pixels': 'data' must be a list, nested or flat"),
        ([1], "input 'pixels': 'data' has shape [1], expected [1, 2], or flat with 2 values"),
        ([[1], [2]], "input 'pixels': 'data' has shape [2, 1], expected [1, 2]"),
        ([1, [2]], "input 'pixels': Encountered list at unexpected level: 1 expected < 1"),
        ([1, 256], "input 'pixels': JSON Value: 256 Type: Number is not of expected type: uint8"),
        ([1, 17], "input 'pixels' holds 17; allowed: 0 to 16"),
    ],
)
def test_data_that_does_not_fit_is_told(data: Any, said: str) -> None:
    assert refusal([told("pixels", [1, 2], data=data)]).startswith(said)


@pytest.mark.parametrize(
    ("one", "binary", "said"),
    [
        (sized("pixels", [1, 2], 2), b"\1\2\3", "input 'pixels': 'binary_data_size' is 2, but 3 bytes follow the JSON"),
        (sized("pixels", [1, 2], 3), b"\1\2", "input 'pixels': 'binary_data_size' is 3, but 2 bytes follow the JSON"),
        (sized("pixels", [1, 2], 3), b"\1\2\3", "input 'pixels': 3 bytes do not fit uint8 of shape [1,2]"),
        (sized("pixels", [1, 2], True), b"\1", "input 'pixels': 'binary_data_size' is true, but 1 bytes follow"),
        ({**sized("pixels", [1, 2], 2), "data": None}, b"\1\2", "input 'pixels' has both 'data' and 'binary_data_size'"),
        (told("pixels", [1, 2], data=[1, 2]), b"\1", "1 bytes follow the JSON, but no input has 'binary_data_size'"),
        (sized("pixels", [1, 2], 2), b"\1\x11", "input 'pixels' holds 17; allowed: 0 to 16"),
    ],
)  # fmt: skip
def test_bytes_that_do_not_fit_are_told(one: Any, binary: bytes, said: str) -> None:
    assert refusal([one], binary=binary).startswith(said)


@pytest.mark.parametrize("size", [-1, 7, 2.0])
def test_no_input_takes_more_bytes_than_there_are(size: Any) -> None:
    asked = [sized("pixels", [1, 2], size), sized("weights", [1, 1], 4), told("text", [1], data=["a"])]
    said = f"input 'pixels': 'binary_data_size' is {size}, but 6 bytes follow the JSON"
    assert refusal(asked, SEVERAL, bytes(6)) == said


def test_the_last_input_behind_the_json_has_the_rest_whichever_it_is() -> None:
    asked = [sized("pixels", [1, 2], 2), sized("weights", [1, 1], 4), told("text", [1], data=["a"])]
    said = "input 'weights': 'binary_data_size' is 4, but 5 bytes follow the JSON"
    assert refusal(asked, SEVERAL, b"\1\2" + bytes(5)) == said
    found = read_data(read_told(asked, SEVERAL), SEVERAL, memoryview(b"\1\2" + bytes(4)), literals=True)
    assert found["weights"].tolist() == [[0.0]]
