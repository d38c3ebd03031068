"""Whether the tensors that a model's file takes and answers are those of its data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.artifacts import ModelFacts
    from modelyard.signature import Axis, Signature, TensorSpec


def misfit(signature: Signature, facts: ModelFacts) -> str:
    """Return what of `signature` does not fit the samples and answers that `facts` says, and what to do; empty if all does.

    An axis whose length varies fits any length.
    """
    for tensors, verb in ((signature.inputs, "takes"), (signature.outputs, "answers")):
        if len(tensors) != 1:
            listed = "; ".join(map(str, tensors)) or "nothing"
            return f"{verb} {len(tensors)} tensors: {listed}\n  one input and one output are supported: export the part with those"
    return _input_misfit(signature.inputs[0], facts) or _output_misfit(signature.outputs[0], facts)


def _input_misfit(tensor: TensorSpec, facts: ModelFacts) -> str:
    if tensor.shape is None or _fits(tensor.shape[1:], facts.input_shape):
        return ""
    wanted = f"(any, {', '.join(map(str, facts.input_shape))})"
    first = (*facts.input_shape[-1:], *facts.input_shape[:-1])
    if len(first) > 1 and _fits(tensor.shape[1:], first):
        advice = "its channels come first: export it with the channels last, or have its input turned (docs/how-to/import-a-model.md)"
    else:
        advice = "export the model for such samples, or change the data set's"
    return f"takes {tensor}, but the data set's samples are {wanted}\n  {advice}"


def _output_misfit(tensor: TensorSpec, facts: ModelFacts) -> str:
    answer = facts.answer
    if tensor.shape is None or _fits(tensor.shape[1:], answer.shape):
        return ""
    if answer.activation != "softmax":
        wanted = ", ".join(("any", *map(str, answer.shape)))
        return f"answers {tensor}, but the data set's answers are ({wanted})\n  it must answer one such tensor a sample"
    return (
        f"answers {tensor}, but the data set has {answer.shape[0]} classes\n"
        "  it must answer one score for each class, in the order of the data set's class names"
    )


def _fits(axes: tuple[Axis, ...], lengths: tuple[Axis, ...]) -> bool:
    """Tell whether a tensor of the shape `axes` may have the shape `lengths`; a name fits whatever length."""
    pairs = zip(axes, lengths, strict=False)
    return len(axes) == len(lengths) and all(
        isinstance(one, str) or isinstance(other, str) or one == other for one, other in pairs
    )
