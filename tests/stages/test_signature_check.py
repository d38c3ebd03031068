from __future__ import annotations

import pytest
from tests.facts import model_facts

from modelyard.signature import Signature, TensorSpec
from modelyard.stages.signature_check import misfit
from modelyard.tensors import Preprocessing

FACTS = model_facts(
    format="onnx",
    file="model.onnx",
    input_shape=(8, 6, 3),
    input_dtype="uint8",
    preprocessing=Preprocessing(),
    class_names=("a", "b"),
)
SCORES = TensorSpec("scores", "float32", ("", 2))


@pytest.mark.parametrize(
    ("taken", "answered"),
    [
        (TensorSpec("x", "float32", ("", 8, 6, 3)), SCORES),
        (TensorSpec("x", "float32", (1, "height", "width", 3)), SCORES),
        (TensorSpec("x", "float32", None), TensorSpec("y", "", None)),
        (TensorSpec("x", "float32", ("", 8, 6, 3)), TensorSpec("y", "float32", ("", "classes"))),
    ],
)
def test_what_fits_or_may_fit(taken: TensorSpec, answered: TensorSpec) -> None:
    assert misfit(Signature((taken,), (answered,)), FACTS) == ""


@pytest.mark.parametrize(
    ("taken", "answered", "told"),
    [
        (
            (TensorSpec("x", "float32", ("", 3, 8, 6)),),
            (SCORES,),
            "takes 'x', float32 (any, 3, 8, 6), but the data set's samples are (any, 8, 6, 3)\n  its channels come first",
        ),
        (
            (TensorSpec("x", "float32", ("", 48)),),
            (SCORES,),
            "(any, 48), but the data set's samples are (any, 8, 6, 3)",
        ),
        (
            (TensorSpec("x", "float32", None), TensorSpec("mask", "int64", ("", 4))),
            (SCORES,),
            "takes 2 tensors: 'x', float32; 'mask', int64 (any, 4); none is called 'input'\n",
        ),
        ((TensorSpec("x", "float32", None),), (SCORES, SCORES), "answers 2 tensors: "),
        ((), (SCORES,), "takes 0 tensors: nothing; none is called 'input'\n"),
        (
            (TensorSpec("x", "float32", None),),
            (TensorSpec("y", "float32", ("", 5)),),
            "answers 'y', float32 (any, 5), but the data set has 2 classes\n",
        ),
        ((TensorSpec("x", "float32", None),), (TensorSpec("y", "float32", ()),), "answers 'y', float32 (), but"),
    ],
)
def test_what_does_not_fit_is_told_with_both_sides(
    taken: tuple[TensorSpec, ...], answered: tuple[TensorSpec, ...], told: str
) -> None:
    assert told in misfit(Signature(taken, answered), FACTS)
