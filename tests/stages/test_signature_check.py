from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.facts import model_facts

from modelyard.artifacts import ModelFacts
from modelyard.signature import Signature, TensorSpec
from modelyard.stages.signature_check import misfit
from modelyard.tensors import ANY_SHAPE, InputFacts, OutputFacts, Preprocessing

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
        (
            (TensorSpec("x", "float32", None),),
            (TensorSpec("label", "int64", ("",)), TensorSpec("maps", "sequence", None)),
            "output = 'label'; or, if 'maps' is, a sequence, export it with tensors alone; of a scikit-learn",
        ),
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


@pytest.mark.parametrize(
    ("taken", "given", "samples"),
    [((1,), (), "(any)"), ((), (1,), "(any, 1)"), ((8, 6), (8, 6, 1), "(any, 8, 6, 1)")],
)
def test_an_axis_of_one_on_one_side_alone_is_told_with_what_to_do(
    taken: tuple[int, ...], given: tuple[int, ...], samples: str
) -> None:
    facts = replace(FACTS, inputs=(replace(FACTS.inputs[0], shape=given),))

    told = misfit(Signature((TensorSpec("x", "float32", ("", *taken)),), (SCORES,)), facts)

    assert f"but the data set's samples are {samples}\n  an axis of one is on one side alone: add it" in told


def test_an_output_that_the_project_names_for_its_handlers_is_told_so() -> None:
    facts = replace(FACTS, outputs=tuple(OutputFacts(name=name, shape=ANY_SHAPE) for name in ("boxs", "scores")))
    shown = Signature(
        (TensorSpec("x", "float32", None),), tuple(TensorSpec(one, "float32") for one in ("boxes", "scores"))
    )
    told = misfit(shown, facts, handled=["boxs", "scores"])
    assert (
        "none is called 'boxs', did you mean 'boxes'?\n  name it as the file does in [tool.modelyard.handlers] outputs; or say"
        in told
    )
    assert "handlers" not in misfit(shown, facts)


@pytest.mark.parametrize(("axis", "pad", "fits"), [(9, 0.0, False), ("length", 0.0, True), (9, None, True)])
def test_a_file_for_one_length_does_not_fit_samples_of_several(axis: int | str, pad: float | None, fits: bool) -> None:
    """An axis that varies and is never padded may be of a model that was brought without data: it fits any length."""
    samples = (InputFacts(name="ids", dtype="int64", shape=("length",), pad=pad),)
    told = misfit(Signature((TensorSpec("ids", "int64", ("", axis)),), (SCORES,)), replace(FACTS, inputs=samples))
    assert (told == "") is fits
    assert fits or "but the data set's samples are of several lengths\n  pad them to 9: " in told


def typed(dtype: str, scale: float = 1.0) -> ModelFacts:
    preprocessing = Preprocessing(scale=scale)
    return model_facts(
        format="onnx", input_shape=(4,), input_dtype=dtype, preprocessing=preprocessing, class_names=("a", "b")
    )


@pytest.mark.parametrize(
    ("file", "facts", "quantized", "told"),
    [
        ("float16", typed("uint8"), (), ""),
        ("bfloat16", typed("float32"), (), ""),
        ("", typed("float32"), (), ""),
        ("int16", typed("int32"), (), ""),
        ("bool", typed("int64"), (), ""),
        ("uint8", typed("uint8"), (), ""),
        ("uint8", typed("uint8", 0.5), ("x",), ""),
        ("uint8", typed("uint8", 0.5), (), "as they are: set normalize = 'none'"),
        ("int64", typed("float32"), (), "'input' reaches it as float32\n  give int32 or int64 samples"),
        ("bytes", typed("float32"), (), "let the data set give texts or bytes"),
        ("float32", typed("bytes"), (), "reaches it as bytes"),
        ("string", typed("bytes"), (), ""),
        ("", typed("bytes"), (), ""),
        ("sequence", typed("float32"), (), "of the kind 'sequence', and clients send and get tensors"),
    ],
)
def test_samples_of_a_type_that_cannot_go_into_the_file_are_told(
    file: str, facts: ModelFacts, quantized: tuple[str, ...], told: str
) -> None:
    found = misfit(Signature((TensorSpec("x", file, ("", 4)),), (SCORES,)), facts, quantized)
    assert told in found
    assert bool(found) == bool(told)
