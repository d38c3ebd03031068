"""Whether the tensors that a model's file takes and answers are those of its data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from modelyard.errors import did_you_mean, listing
from modelyard.signature import NO_TENSORS
from modelyard.tensors import ANY_SHAPE, HELD, Preprocessing, held, input_dtype, is_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from modelyard.artifacts import ModelFacts
    from modelyard.signature import Axis, Signature, TensorSpec
    from modelyard.tensors import InputFacts, OutputFacts

Fact = TypeVar("Fact", "InputFacts", "OutputFacts")

_TENSORS_ALONE = (
    "export it with tensors alone; of a scikit-learn classifier, skl2onnx does so with options={'zipmap': False}"
)


def misfit(
    signature: Signature,
    facts: ModelFacts,
    quantized: Sequence[str] = (),
    handled: Collection[str] = (),
    *,
    utf8: bool = False,
) -> str:
    """Return what of `signature` does not fit the samples and answers that `facts` says, and what to do; empty if all does.

    An axis whose length varies fits any length. Where there are several tensors, each is looked up by its name.

    Args:
        signature: what the file takes and answers.
        facts: what clients send and get.
        quantized: the file's tensors whose whole numbers stand for real ones.
        handled: the outputs that the project names for its handlers.
        utf8: whether the file takes no `bytes` but texts in UTF-8.
    """
    sent = tuple(one for one in signature.inputs if one.name not in facts.fed)
    inputs = _bound(facts.inputs, sent, "takes", "the data set has no array for it: give one")
    if isinstance(inputs, str):
        return inputs
    outputs = _bound(facts.outputs, signature.outputs, "answers", "", handled)
    if isinstance(outputs, str):
        return outputs
    fed = _fed_misfit(signature, facts)
    wrong = [_no_tensor(tensor, verb) for verb, some in (("takes", inputs), ("answers", outputs)) for _, tensor in some]
    wrong += [_type_misfit(tensor, one) for one, tensor in inputs if tensor.name not in quantized]
    wrong += [_text_misfit(tensor, one) for one, tensor in inputs if utf8]
    wrong += [_input_misfit(tensor, _at_a_step(one, facts)) for one, tensor in inputs]
    wrong += [_output_misfit(tensor, _at_a_step(one, facts)) for one, tensor in outputs]
    return next(filter(None, (fed, *wrong)), "")


def _fed_misfit(signature: Signature, facts: ModelFacts) -> str:
    """Return which tensor that nobody sends, or that is a state afterwards, is not there any more."""
    takes, answers = ([one.name for one in each] for each in (signature.inputs, signature.outputs))
    for name in facts.fed:
        if name not in takes:
            return f"takes {listing(takes)}; none is called {name!r}, of which [tool.modelyard.signature] speaks"
    for one in facts.states or ():
        if one.source not in answers:
            return f"answers {listing(answers)}; none is called {one.source!r}, the state {one.tensor!r} afterwards"
    return ""


def _at_a_step(one: Fact, facts: ModelFacts) -> Fact:
    """Return a tensor as the file has it: of one step of a stream, with what the step before lends it."""
    shape: tuple[Axis, ...] = one.shape[1:] if facts.looped and one.shape != ANY_SHAPE else one.shape
    overlap = getattr(one, "overlap", 0)
    if overlap and isinstance(shape[-1], int):
        shape = (*shape[:-1], shape[-1] + overlap)
    return msgspec.structs.replace(one, shape=shape)


def _bound(
    wanted: Sequence[Fact], tensors: Sequence[TensorSpec], verb: str, spare: str, handled: Collection[str] = ()
) -> list[tuple[Fact, TensorSpec]] | str:
    """Return each of `wanted` with its tensor of the file; or what is wrong: one is not there, or one more is there.

    Args:
        wanted: the inputs, or the outputs, that there must be.
        tensors: those of the file.
        verb: what the file does with them.
        spare: what to do about one that nobody gives; empty: it does no harm.
        handled: those that the project names for its handlers.
    """
    listed = "; ".join(map(str, tensors)) or "nothing"
    if len(wanted) == len(tensors) == 1 and not wanted[0].tensor:
        return [(wanted[0], tensors[0])]
    named = {one.name: one for one in tensors}
    for one in wanted:
        if (called := one.tensor or one.name) not in named:
            first = "name it as the file does in [tool.modelyard.handlers] outputs; or " if called in handled else ""
            return (
                f"{verb} {len(tensors)} tensors: {listed}; none is called {called!r}{did_you_mean(called, named)}\n"
                f"  {first}say in [tool.modelyard.train] which is meant, for instance {_example(one, tensors, verb, several=len(wanted) > 1)}; {_further_advice(tensors)}"
            )
    used = {one.tensor or one.name for one in wanted}
    further = [name for name in named if name not in used]
    if further and spare:
        return f"{verb} {len(tensors)} tensors: {listed}; {further[0]!r} is given by nobody\n  {spare}"
    return [(one, named[one.tensor or one.name]) for one in wanted]


def _example(one: Fact, tensors: Sequence[TensorSpec], verb: str, *, several: bool) -> str:
    """Return the setting that would bind `one`."""
    names = [tensor.name for tensor in tensors if tensor.dtype not in NO_TENSORS]
    name = names[-1] if names else "NAME"
    if verb == "answers" and not several:
        return f"output = {name!r}"
    return f"{'outputs' if verb == 'answers' else 'inputs'} = {{ {one.name} = {name!r} }}"


def _further_advice(tensors: Sequence[TensorSpec]) -> str:
    """Return what to do if one that is no tensor is meant, which alone would be told only when it is named."""
    for tensor in tensors:
        if tensor.dtype in NO_TENSORS:
            return f"or, if {tensor.name!r} is, a {tensor.dtype}, {_TENSORS_ALONE}"
    return "see docs/how-to/import-a-model.md"


def _no_tensor(tensor: TensorSpec, verb: str) -> str:
    if tensor.dtype not in NO_TENSORS:
        return ""
    return f"{verb} {tensor.name!r}, of the kind {tensor.dtype!r}, and clients send and get tensors\n  {_TENSORS_ALONE}"


def _type_misfit(tensor: TensorSpec, one: InputFacts) -> str:
    """Return that samples cannot go into an input of the file's type: floats take any number, whole numbers only such."""
    dtype = held(tensor.dtype)
    texts = "bytes" in (dtype, one.dtype) and dtype != one.dtype
    if not dtype or (not texts and (dtype not in HELD or is_whole(one.dtype))):
        return ""
    if dtype == one.dtype and one.preprocessing == Preprocessing():
        return ""
    if dtype == one.dtype:
        advice = "it takes samples as they are: set normalize = 'none' in [tool.modelyard.dataset]"
    elif dtype == "bytes":
        advice = "let the data set give texts or bytes: lists or arrays of str, bytes or Path"
    elif one.dtype == "bytes":
        advice = "name a handler that makes numbers of texts in [tool.modelyard.handlers] before, for instance tokenize or image-decode; or bring a model that takes texts"
    else:
        advice = "give int32 or int64 samples, which stay what they are; floats and pictures reach the model as float32"
    return f"takes {tensor}, but the data set's {one.name!r} reaches it as {one.dtype if texts else input_dtype(one.dtype)}\n  {advice}"


def _text_misfit(tensor: TensorSpec, one: InputFacts) -> str:
    if not one.binary:
        return ""
    return (
        f"takes {tensor}, which are texts in UTF-8, but some that the data set has for {one.name!r} are none\n"
        "  decode them in the data set, with the encoding that they have; or bring the model in a format that takes any bytes"
    )


def _input_misfit(tensor: TensorSpec, one: InputFacts) -> str:
    if tensor.shape is None:
        return ""
    if _fits(tensor.shape[1:], one.shape):
        return _length_misfit(tensor, one)
    wanted = f"({', '.join(('any', *map(str, one.shape)))})"
    first = (*one.shape[-1:], *one.shape[:-1])
    if len(first) > 1 and _fits(tensor.shape[1:], first):
        advice = "its channels come first: export it with the channels last, or have its input turned (docs/how-to/import-a-model.md)"
    elif _fits(_long(tensor.shape[1:]), _long(one.shape)):
        advice = "an axis of one is on one side alone: add it to the data set's arrays (x[:, None]) or take it off (x[:, 0]), or export the model so"
    else:
        advice = "export the model for such samples, or change the data set's"
    return f"takes {tensor}, but the data set's samples are {wanted}\n  {advice}"


def _long(shape: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Return the axes that are not of one, which Keras' models of single numbers and texts often have."""
    return tuple(axis for axis in shape if axis != 1)


def _length_misfit(tensor: TensorSpec, one: InputFacts) -> str:
    """Return that samples are each of their own length, and the file takes those of one."""
    length = tensor.shape[1] if tensor.shape and one.shape and one.pad is not None else ""
    if not isinstance(length, int) or not isinstance(one.shape[0], str):
        return ""
    return (
        f"takes {tensor}, but the data set's samples are of several lengths\n"
        f"  pad them to {length}: a handler by its pad and length, a data set by Streams(..., ragged=False); or export the model with an axis that varies"
    )


def _output_misfit(tensor: TensorSpec, answer: OutputFacts) -> str:
    if tensor.shape is None or _fits(answer.sample_axes(tensor.shape), answer.shape):
        return ""
    if answer.activation != "softmax" or len(answer.shape) > 1:
        wanted = ", ".join(("any", *map(str, answer.shape)))
        return f"answers {tensor}, but the data set's answers are ({wanted})\n  it must answer one such tensor a sample"
    return (
        f"answers {tensor}, but the data set has {answer.shape[0]} classes\n"
        "  it must answer one score for each class, in the order of the data set's class names"
    )


def _fits(axes: tuple[Axis, ...], lengths: tuple[Axis, ...]) -> bool:
    """Tell whether a tensor of the shape `axes` may have the shape `lengths`; a name fits whatever length."""
    if lengths == ANY_SHAPE:
        return True
    pairs = zip(axes, lengths, strict=False)
    return len(axes) == len(lengths) and all(
        isinstance(one, str) or isinstance(other, str) or one == other for one, other in pairs
    )
