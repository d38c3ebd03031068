"""Named tensors: what lies between what a client sends and what the model's file takes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelyard.tensors import (
    ConstantFacts,
    InputFacts,
    OutputFacts,
    Preprocessing,
    StateFacts,
    held,
    input_dtype,
    is_kept,
    is_whole,
    model_inputs,
)

PIXELS = InputFacts(
    name="pixels",
    dtype="uint8",
    shape=(8, 8, 3),
    preprocessing=Preprocessing(1 / 255, (0.5, 0.5, 0.5), (0.1, 0.2, 0.3)),
)
SCORES = OutputFacts(name="scores", shape=(2,), activation="softmax", labels=("a", "b"))


@given(
    raw=arrays.arrays(np.uint8, st.tuples(st.integers(0, 4), st.just(2), st.just(3))),
    scale=st.floats(0.001, 10),
    mean=st.tuples(*[st.floats(-2, 2)] * 3),
    std=st.tuples(*[st.floats(0.1, 2)] * 3),
)
def test_samples_are_scaled_then_normalized_by_channel(
    raw: np.ndarray, scale: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    found = Preprocessing(scale, mean, std).apply(raw)
    assert (found.dtype, found.shape) == (np.float32, raw.shape)
    for channel in range(3):
        expected = (raw[..., channel] * scale - mean[channel]) / std[channel]
        assert np.allclose(found[..., channel], expected, rtol=1e-4, atol=1e-3)


def test_without_preprocessing_samples_only_become_float32() -> None:
    raw = np.array([[0, 255]], np.uint8)
    assert Preprocessing().apply(raw).tolist() == [[0.0, 255.0]]
    assert Preprocessing(scale=0.5, mean=(1.0,)).apply(raw[0]).tolist() == [-1.0, 126.5], "of one sample, too"


@pytest.mark.parametrize(
    ("dtype", "whole", "kept", "taken"),
    [
        ("int32", True, True, "int32"),
        ("int64", True, True, "int64"),
        ("bytes", False, True, "bytes"),
        ("uint8", False, False, "float32"),
        ("int16", False, False, "float32"),
        ("float64", False, False, "float32"),
    ],
)
def test_the_type_that_reaches_the_model(dtype: str, whole: bool, kept: bool, taken: str) -> None:
    assert (is_whole(dtype), is_kept(dtype), input_dtype(dtype)) == (whole, kept, taken)


@pytest.mark.parametrize("raw", [np.array([[2**40, -1]]), np.array([b"abc", b"\xff"], object)])
def test_token_ids_and_texts_reach_the_model_as_they_are(raw: np.ndarray) -> None:
    dtype = "bytes" if raw.dtype == object else str(raw.dtype)
    found = model_inputs(raw, dtype, Preprocessing(scale=0.5))
    assert found.dtype == raw.dtype
    assert found.tolist() == raw.tolist()
    assert not np.shares_memory(found, raw), "who changes it changes no data set"


def test_pictures_reach_the_model_preprocessed() -> None:
    found = model_inputs(np.array([[4]], np.uint8), "uint8", Preprocessing(scale=0.5, mean=(1.0,), std=(2.0,)))
    assert (found.dtype, found.tolist()) == (np.float32, [[0.5]])


def test_a_file_of_tensorflow_calls_texts_strings() -> None:
    assert [held(one) for one in ("string", "bytes", "int8")] == ["bytes", "bytes", "int8"]


@pytest.mark.parametrize(
    ("inside", "activation", "outside"),
    [(False, "softmax", "softmax"), (True, "softmax", "none"), (False, "none", "none")],
)
def test_who_runs_the_file_applies_what_the_file_does_not(inside: bool, activation: Any, outside: str) -> None:
    assert msgspec.structs.replace(SCORES, inside=inside, activation=activation).outside == outside


def test_a_tensor_without_an_axis_of_the_batch_is_all_of_a_sample_s() -> None:
    assert SCORES.sample_axes(("batch", 5, 2)) == (5, 2)
    assert msgspec.structs.replace(SCORES, batch_axis=None).sample_axes((5, 2)) == (5, 2)


@pytest.mark.parametrize(
    "facts",
    [
        PIXELS,
        InputFacts(name="ids", dtype="int32", shape=("length",), pad=0.0, mask="mask", value_range=(0.0, 9.0)),
        InputFacts(name="text", dtype="bytes", shape=(), binary=True),
        SCORES,
        OutputFacts(name="all", shape=("...",), parts=(SCORES, msgspec.structs.replace(SCORES, name="b"))),
        OutputFacts(name="boxes", shape=("boxes", 4), batch_axis=None, tensor="net/boxes:0"),
        StateFacts(tensor="h", source="hn", dtype="float32", shape=("past", 8), batch_axis=None, initial=-1.0),
        ConstantFacts(tensor="training", dtype="bool", value=False),
    ],
    ids=lambda facts: str(getattr(facts, "name", "") or facts.tensor),
)
def test_facts_are_read_as_they_were_written(facts: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(facts), type=type(facts)) == facts


def test_what_is_usual_is_not_written() -> None:
    text = InputFacts(name="text", dtype="bytes", shape=())
    assert msgspec.json.decode(msgspec.json.encode(text)) == {"name": "text", "dtype": "bytes", "shape": []}
    assert msgspec.json.decode(msgspec.json.encode(OutputFacts(name="y", shape=(1,)))) == {"name": "y", "shape": [1]}
