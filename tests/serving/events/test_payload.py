"""The data of an event says what it asks, in one of three ways, and is answered in kind."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.serving.events.causes import cause
from tests.serving.small_models import KIND, LIMITS, PIXELS, SCORES, TEXT, WEIGHTS, served

from modelyard.serving.errors import RequestError
from modelyard.serving.events import payload
from modelyard.serving.events.event import Event
from modelyard.serving.tensor_facts import BYTES, Input
from modelyard.serving.tensors import TensorError, texts

MODEL = served()
TEXTS = served([TEXT])
WORDS = Input("words", BYTES, (2,))
ANSWER = {"scores": np.array([[0.5, 0.25, 0.25]], np.float32)}
RAW = "application/octet-stream"
INFER = {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 2], "data": [3, 4]}]}


def asked(value: Any, model: Any = MODEL, **attributes: str) -> payload.Asked:
    return payload.read(cause(json.dumps(value).encode(), **attributes), model, LIMITS)


def refusal(event: Event, model: Any = MODEL) -> str:
    with pytest.raises((RequestError, TensorError)) as caught:
        payload.read(event, model, LIMITS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"instances": [[3, 4]]}, {"predictions": [[0.5, 0.25, 0.25]]}),
        ({"inputs": [[3, 4]]}, {"outputs": [[0.5, 0.25, 0.25]]}),
        ({"inputs": {"pixels": [[3, 4]]}}, {"outputs": [[0.5, 0.25, 0.25]]}),
    ],
)
def test_rows_are_answered_in_rows_and_columns_in_columns(value: Any, answer: Any) -> None:
    for one in (asked(value), payload.read(cause(document=value), MODEL, LIMITS)):
        assert one.samples["pixels"].tolist() == [[3, 4]]
        assert json.loads(one.answer(ANSWER)) == answer
        assert one.timeout_s is None


def test_the_open_inference_protocol_is_answered_in_kind_and_says_how_long_it_waits() -> None:
    one = asked({**INFER, "id": "7", "parameters": {"timeout": 2_500_000}})
    assert one.samples["pixels"].tolist() == [[3, 4]]
    assert one.timeout_s == 2.5
    assert json.loads(one.answer(ANSWER)) == {
        "model_name": "net",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": [0.5, 0.25, 0.25]}],
    }


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(2)), elements=st.integers(0, 16)))
def test_bytes_are_the_samples_that_json_would_hold(samples: np.ndarray) -> None:
    raw = payload.read(cause(samples.tobytes(), datacontenttype=f"{RAW}; x=y"), MODEL, LIMITS)
    np.testing.assert_array_equal(raw.samples["pixels"], samples)
    np.testing.assert_array_equal(asked({"instances": samples.tolist()}).samples["pixels"], samples)
    assert json.loads(raw.answer(ANSWER)) == {"predictions": [[0.5, 0.25, 0.25]]}


@pytest.mark.parametrize("media_type", [RAW, "text/plain; charset=utf-8", "Image/PNG", "audio/wav"])
def test_where_a_sample_is_one_text_or_picture_the_data_is_it(media_type: str) -> None:
    one = payload.read(cause(b"a\0b", datacontenttype=media_type), TEXTS, LIMITS)
    assert one.samples["text"].tolist() == [b"a\0b"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (served([WEIGHTS]), "what the model takes, 'weights' [-1,t]; send application/json"),
        (served([WORDS]), "what the model takes, 'words' [-1,2]; send application/json"),
        (served([PIXELS, WEIGHTS]), "what the model takes, 'pixels' [-1,2], 'weights' [-1,t]; send application/json"),
    ],
)
def test_bytes_cannot_say_a_shape_that_varies_nor_which_input_they_are(model: Any, said: str) -> None:
    assert refusal(cause(b"\1\2", datacontenttype=RAW), model) == f"data of type {RAW} cannot say {said}"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (cause(), "the event has no data; samples are expected"),
        (cause(b"\1\2", datacontenttype="text/plain"), f"unsupported data of type 'text/plain'; supported: application/json, {RAW}"),
        (cause(b"{"), "the event's data is not JSON: "),
        (cause(b"[1]"), "the event's data is [1], expected an object with 'instances' or 'inputs'"),
        (cause(document="a"), 'the event\'s data is "a", expected an object'),
        (cause(b'{"inputs": []}'), "input 'pixels' has shape [0], expected [-1,2]"),
        (cause(b"{}"), "Missing 'inputs' or 'instances' key"),
        (cause(b"\1", datacontenttype=RAW), "1 bytes do not fit uint8 of shape [-1,2]"),
        (cause(b"\1\x11", datacontenttype=RAW), "input 'pixels' holds 17; allowed: 0 to 16"),
    ],
)  # fmt: skip
def test_what_asks_nothing_is_refused_in_words(event: Event, said: str) -> None:
    assert refusal(event).startswith(said)


def test_which_types_a_model_of_texts_takes_beside_is_said() -> None:
    said = refusal(cause(b"a", datacontenttype="video/mp4"), TEXTS)
    assert said.endswith(f"supported: application/json, {RAW}, image/..., audio/..., text/plain")


def test_a_truth_value_is_no_number() -> None:
    for text in ("true", "false"):
        data = f'{{"instances": [[{text}, 4]]}}'.encode()
        for event in (cause(data), cause(document=json.loads(data))):
            with pytest.raises(TensorError, match=f"JSON Value: {text}"):
                payload.read(event, MODEL, LIMITS)


def test_a_number_that_is_none_is_one_as_tensorflow_serving_takes_it() -> None:
    one = payload.read(cause(b'{"instances": [[NaN, 1]]}'), served([WEIGHTS]), LIMITS)
    np.testing.assert_array_equal(one.samples["weights"], [[np.nan, 1]])


@pytest.mark.parametrize(
    ("event", "model", "status"),
    [
        (cause(), MODEL, 400),
        (cause(b"a", datacontenttype="video/mp4"), MODEL, 415),
        (cause(b"a", datacontenttype=RAW), served([WEIGHTS]), 415),
    ],
)
def test_what_will_never_be_answered_is_told_with_a_status_that_says_so(event: Event, model: Any, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        payload.read(event, model, LIMITS)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "wish",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "scores", "parameters": {"binary_data": True}}]},
    ],
)
def test_an_answer_that_is_an_event_has_no_bytes_behind_it(wish: Any) -> None:
    assert refusal(cause(document=INFER | wish)).startswith("the answer is an event with JSON; leave 'binary_data'")


def test_an_event_is_a_step_of_no_sequence() -> None:
    step = cause(document={**INFER, "parameters": {"sequence_id": 1}})
    said = "an event is a step of no sequence; let it hold the whole stream"
    assert refusal(step, served(no_sequences="")) == said
    assert refusal(step) == "'sequence_id' is 1, but this model keeps nothing from one request to the next"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_json_cannot_carry_is_told_and_not_written(value: float) -> None:
    for ask in ({"instances": [[3, 4]]}, INFER):
        with pytest.raises(TensorError, match="holds NaN or Infinity, which JSON cannot carry"):
            asked(ask).answer({"scores": np.array([[0.5, value, 0]], np.float32)})


def test_texts_are_answered_as_text() -> None:
    one = asked({"instances": [[3, 4]]}, served(outputs=[SCORES, KIND]))
    assert json.loads(one.answer({**ANSWER, "kind": texts([b"owl"])})) == {
        "predictions": [{"scores": [0.5, 0.25, 0.25], "kind": "owl"}]
    }
