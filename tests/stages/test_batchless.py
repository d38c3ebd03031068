"""Outputs without an axis of the batch are found where the file leaves no doubt, or told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.facts import model_facts

from modelyard.signature import Signature, TensorSpec
from modelyard.stages.batchless import without_batch
from modelyard.stages.signature_check import misfit
from modelyard.tensors import OutputFacts

FACTS = msgspec.structs.replace(
    model_facts(format="onnx", input_shape=(8, 8), input_dtype="float32", class_names=("a", "b")),
    outputs=(OutputFacts(name="boxes", shape=("...",)),),
)


@pytest.mark.parametrize(
    ("first", "shape", "told", "has_batch"),
    [
        (1, (20, 4), {}, False),
        (1, (1, 4), {}, True),
        (1, ("n", 4), {}, True),
        (1, ("n", 4), {"batch": False}, False),
        (1, (20, 4), {"batch": True}, True),
        ("batch", (20, 4), {}, True),
        ("batch", ("n", 4), {"batch": False}, False),
        ("batch", (), {}, False),
        ("batch", None, {}, True),
    ],
)
def test_an_output_has_an_axis_of_the_batch_or_not(first: Any, shape: Any, told: Any, has_batch: bool) -> None:
    output = TensorSpec("boxes", "float32", shape)
    file = Signature((TensorSpec("x", "float32", (first, 8, 8)),), (output,))
    found = without_batch(FACTS, file, {"boxes": told})
    assert (found.outputs[0].batch_axis == 0) == has_batch
    assert (found.batch is msgspec.UNSET) == has_batch, "it is then run on one sample at a time"
    assert found is FACTS or not has_batch
    if shape is not None:
        assert found.outputs[0].sample_axes(shape) == (shape[1:] if has_batch else shape)


def test_a_state_of_one_stream_says_nothing_of_the_batch_and_a_known_shape_is_compared_whole() -> None:
    inputs = (TensorSpec("x", "float32", (1, 8, 8)), TensorSpec("h", "float32", (4,)))
    facts = msgspec.structs.replace(FACTS, outputs=(OutputFacts(name="scores", shape=(2,)),))
    alone = without_batch(facts, Signature(inputs[:1], (TensorSpec("scores", "float32", (2,)),)), {})
    assert alone.outputs[0].batch_axis is None
    assert misfit(Signature(inputs[:1], (TensorSpec("scores", "float32", (2,)),)), alone) == ""
    assert "but the data set's answers" in misfit(Signature(inputs[:1], (TensorSpec("s", "float32", (3,)),)), alone)
