"""The tensors of an answer: as JSON, as bytes behind it, or as the names of the likeliest classes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.serving.small_models import KIND, SCORES, served

from modelyard.serving.messages import Response
from modelyard.serving.oip.outputs import HEADER_LENGTH, json_document, likeliest, response
from modelyard.serving.oip.wanted import PLAINLY, Output, Wanted
from modelyard.serving.tensor_facts import Output as Fact
from modelyard.serving.tensors import TensorError, from_bytes, texts, to_bytes

HALF = Fact("half", np.dtype("float16"), ())
COUNT = Fact("count", np.dtype("int64"), (2,))
MODEL = served(outputs=[SCORES, KIND, HALF, COUNT], version="3")
ANSWERS = {
    "scores": np.array([[0.5, 0.25, 0.25]], np.float32),
    "kind": texts([b"null"]),
    "half": np.array([0.1], np.float16),
    "count": np.array([[1 << 40, -1]], np.int64),
}
SAID: list[dict[str, Any]] = [
    {"name": "scores", "datatype": "FP32", "shape": [1, 3]},
    {"name": "kind", "datatype": "BYTES", "shape": [1]},
    {"name": "half", "datatype": "FP16", "shape": [1]},
    {"name": "count", "datatype": "INT64", "shape": [1, 2]},
]
DATA = [[0.5, 0.25, 0.25], ["null"], [0.099975586], [1 << 40, -1]]


def parts(answer: Response) -> tuple[Any, bytes]:
    size = int(dict(answer.headers)[HEADER_LENGTH])
    return json.loads(answer.body[:size]), answer.body[size:]


def test_every_output_is_said_with_its_values_row_by_row() -> None:
    expected = {
        "model_name": "net",
        "model_version": "3",
        "outputs": [said | {"data": data} for said, data in zip(SAID, DATA, strict=True)],
    }
    answer = response(MODEL, PLAINLY, ANSWERS)
    assert (answer.status, answer.media_type, answer.headers) == (200, b"application/json", ())
    assert json.loads(answer.body) == expected


def test_as_an_events_data_the_answer_says_the_same() -> None:
    wanted, written = Wanted("7", outputs=(Output("kind"), Output("scores"))), {}
    for name, value in json_document(MODEL, wanted, ANSWERS).items():
        written[name] = value
    for one in written["outputs"]:
        one["data"] = list(one["data"])
    assert written == json.loads(response(MODEL, wanted, ANSWERS).body)
    assert (written["id"], [one["name"] for one in written["outputs"]]) == ("7", ["kind", "scores"])


def test_bytes_follow_the_json_one_output_after_the_other() -> None:
    outputs = (Output("count", binary=True), Output("scores"), Output("kind", binary=True))
    answer = response(MODEL, Wanted("7", outputs=outputs), ANSWERS)
    head, behind = parts(answer)
    assert (answer.status, answer.media_type) == (200, b"application/octet-stream")
    assert head["id"] == "7"
    assert head["outputs"] == [
        SAID[3] | {"parameters": {"binary_data_size": 16}},
        SAID[0] | {"data": DATA[0]},
        SAID[1] | {"parameters": {"binary_data_size": 8}},
    ]
    assert behind == to_bytes(ANSWERS["count"]) + b"\4\0\0\0null"


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.just(3))))
def test_bytes_carry_any_number_and_json_those_that_it_has(array: np.ndarray) -> None:
    model = served()
    _, behind = parts(response(model, Wanted(binary=True), {"scores": array}))
    np.testing.assert_array_equal(from_bytes(behind, array.dtype, array.shape), array)
    if np.isfinite(array).all():
        for answer in (response(model, PLAINLY, {"scores": array}).body, None):
            said = json.loads(answer) if answer else json_document(model, PLAINLY, {"scores": array})
            np.testing.assert_array_equal(np.array(said["outputs"][0]["data"], np.float32), array.ravel())
        return
    for write in (response, json_document):
        with pytest.raises(TensorError, match="output 'scores' holds NaN, which JSON cannot carry; ask for it with"):
            write(model, PLAINLY, {"scores": array})


def test_bytes_that_are_no_text_are_not_carried_by_json() -> None:
    wanted = Wanted(outputs=(Output("kind"),))
    for write in (response, json_document):
        with pytest.raises(TensorError, match="output 'kind' holds bytes that are no text, which JSON cannot carry"):
            write(MODEL, wanted, {"kind": texts([b"\xff"])})
    head, behind = parts(response(MODEL, Wanted(outputs=(Output("kind", binary=True),)), {"kind": texts([b"\xff"])}))
    assert (head["outputs"][0]["shape"], behind) == ([1], b"\1\0\0\0\xff")


@pytest.mark.parametrize(
    ("classes", "expected"), [(1, [b"0.500000:1:dog"]), (2, [b"0.500000:1:dog", b"0.250000:0:cat"])]
)
def test_the_likeliest_come_first_and_of_equals_the_one_that_stands_first(classes: int, expected: list[bytes]) -> None:
    array = np.array([[0.25, 0.5, 0.25]], np.float32)
    assert likeliest(MODEL, Output("scores", classes=classes), array).tolist() == [expected]


def test_classes_without_names_are_told_by_their_numbers_and_unsigned_ones_are_not_turned_round() -> None:
    found = likeliest(served(outputs=[COUNT]), Output("count", classes=2), np.array([[0, 200], [3, 1]], np.uint8))
    assert found.tolist() == [[b"200.000000:1", b"0.000000:0"], [b"3.000000:0", b"1.000000:1"]]


def test_classes_are_texts_of_an_output_in_json_and_behind_it() -> None:
    said = {"name": "scores", "datatype": "BYTES", "shape": [1, 1]}
    wanted = Wanted(outputs=(Output("scores", classes=1),))
    assert json.loads(response(MODEL, wanted, ANSWERS).body)["outputs"] == [said | {"data": ["0.500000:0:cat"]}]
    head, behind = parts(response(MODEL, Wanted(outputs=(Output("scores", binary=True, classes=1),)), ANSWERS))
    assert head["outputs"] == [said | {"parameters": {"binary_data_size": 18}}]
    assert behind == b"\x0e\0\0\0" + b"0.500000:0:cat"
