"""What `[tool.modelyard.signature]` says of a model's tensors, held against what its file shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.errors import StageFailed, did_you_mean, listing
from modelyard.tensors import ANY_SHAPE, TIME, ConstantFacts, InputFacts, OutputFacts, StateFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.artifacts import ModelFacts
    from modelyard.signature import Axis, Signature, TensorSpec

    Told = Mapping[str, Mapping[str, Any]]
    """What is said of each tensor, by what the file calls it."""

_OF_INPUTS = ("name", "axes", "range", "state", "initial", "constant", "overlap")
_OF_OUTPUTS = ("name", "axes", "labels", "batch")


def bind(facts: ModelFacts, told: Told, shown: Signature | None) -> ModelFacts:
    """Return facts that know which of the file's inputs are sent by whom.

    Args:
        facts: what the model takes and answers, by the data set.
        told: what the project says.
        shown: what the file shows.

    Raises:
        StageFailed: the file has no such tensor, or one that cannot be what is said of it.
    """
    if shown is None:
        msg = f"[tool.modelyard.signature]: the file {facts.file!r} does not show its tensors, so that nothing can be said of them\n  remove the table"
        raise StageFailed(msg)
    inputs, outputs = ({one.name: one for one in each} for each in (shown.inputs, shown.outputs))
    for name in told:
        _check_known(name, [*inputs, *outputs], _place(name), "tensor")
    stated, constant = (dict(_having(inputs, told, key)) for key in ("state", "constant"))
    sent = [name for name in inputs if name not in {*stated, *constant}]
    batch = _first_axis([inputs[name] for name in sent])
    states = tuple(_state(one, told[name], outputs, batch) for name, one in stated.items())
    constants = tuple(_constant(one, told[name]["constant"]) for name, one in constant.items())
    kept = {one.source for one in states}
    given = [name for name in outputs if name not in kept]
    taken = tuple(_with(one, told) for one in _bound(facts.inputs, sent, told))
    looped = _is_looped(taken, inputs) if states or any(one.overlap for one in taken) else False
    replaced = msgspec.structs.replace(
        facts,
        inputs=tuple(_with_time(one, looped=looped) for one in taken),
        outputs=tuple(_named(one, told) for one in _answers(facts.outputs, given, told)),
        states=states or msgspec.UNSET,
        constants=constants or msgspec.UNSET,
        looped=looped or msgspec.UNSET,
    )
    _check_used(told, replaced, inputs)
    alone = any(one.batch_axis is None for one in states)
    return msgspec.structs.replace(replaced, batch=1) if alone else replaced


def _check_used(told: Told, facts: ModelFacts, inputs: Mapping[str, TensorSpec]) -> None:
    """Refuse what is said of a tensor that nobody sends or gets, or that one of its kind does not have.

    Raises:
        StageFailed: there is such a thing.
    """
    sent = {one.tensor or one.name for one in facts.inputs} | {*facts.fed}
    answered = {one.tensor or one.name for one in facts.outputs}
    for name, said in told.items():
        kind, allowed = ("input", _OF_INPUTS) if name in inputs else ("output", _OF_OUTPUTS)
        if name not in (sent if kind == "input" else answered):
            advice = (
                f"say which array of the data set it is: name = {facts.inputs[0].name!r}; and what each input is that nobody sends: a state, a constant"
                if kind == "input"
                else "name it in [tool.modelyard.handlers] outputs"
            )
            msg = f"{_place(name)}: the {kind} {name!r} is there, but nobody {'sends' if kind == 'input' else 'gets'} it\n  {advice}, or remove what is said of it"
            raise StageFailed(msg)
        for key in said:
            if key not in allowed:
                msg = f"{_place(name, key)}: {name!r} is an {kind} of the model, which has no {key!r}\n  allowed: {listing(allowed)}"
                raise StageFailed(msg)


def with_axes(facts: ModelFacts, told: Told, shown: Signature | None) -> ModelFacts:
    """Return facts whose axes are called as the project says.

    Raises:
        StageFailed: there are more axes or fewer, or one that has a name is of one length in the file.
    """
    assert shown is not None
    tensors = (*shown.inputs, *shown.outputs)
    lengths = {one.name: one.shape for one in tensors if one.shape is not None}
    time = (TIME,) if facts.looped else ()

    def shape(one: InputFacts | OutputFacts) -> tuple[Axis, ...]:
        name = one.tensor or one.name
        axes = told.get(name, {}).get("axes")
        if not axes:
            return one.shape
        if one.shape == ANY_SHAPE:
            return tuple(axes)
        file = one.shape
        if name in lengths:
            own = one.sample_axes(lengths[name]) if isinstance(one, OutputFacts) else lengths[name][1:]
            file = (*time, *own)
        return _axes(axes, one.shape, file, _place(name, "axes"))

    replaced = msgspec.structs.replace
    inputs = tuple(replaced(one, shape=shape(one)) for one in facts.inputs)
    outputs = tuple(replaced(one, shape=shape(one)) for one in facts.outputs)
    return replaced(facts, inputs=inputs, outputs=outputs)


def _axes(axes: list[str | int], known: tuple[Axis, ...], file: tuple[Axis, ...], place: str) -> tuple[Axis, ...]:
    """Return `axes` in place of those that are known, if the file has so many, and those with a name vary in it."""
    for axis, length in zip(axes, file, strict=False):
        if isinstance(length, int) and axis != length:
            msg = f"{place}: {axes!r}: {axis!r} is {length} long in the model's file\n  allowed: a name where the length varies, else the length"
            raise StageFailed(msg)
    if len(axes) != len(known):
        msg = f"{place}: {axes!r} are {len(axes)} axes; there are {len(known)}, without that of the batch: {known}"
        raise StageFailed(msg)
    return tuple(axes)


def _having(inputs: Mapping[str, TensorSpec], told: Told, key: str) -> Iterable[tuple[str, TensorSpec]]:
    return [(name, one) for name, one in inputs.items() if key in told.get(name, {})]


def _check_known(name: str, known: Iterable[str], place: str, what: str) -> None:
    names = list(known)
    if name not in names:
        msg = f"{place}: there is no {what} {name!r}{did_you_mean(name, names)}\n  there are: {listing(names)}"
        raise StageFailed(msg)


def _first_axis(inputs: list[TensorSpec]) -> Axis:
    """Return the first axis of what is sent, which is that of the batch; empty if the file does not say."""
    return next((one.shape[0] for one in inputs if one.shape), "")


def _state(one: TensorSpec, said: Mapping[str, Any], outputs: Mapping[str, TensorSpec], batch: Axis) -> StateFacts:
    """Return a state, once its output is one that it can be at the next step."""
    _check_known(said["state"], outputs, _place(one.name, "state"), "output")
    source = outputs[said["state"]]
    if one.dtype != source.dtype or not _alike(one.shape, source.shape):
        msg = f"{_place(one.name, 'state')}: the state {one} cannot be the output {source} at the next step\n  its output has the same type and axes"
        raise StageFailed(msg)
    axis, shape = _without_batch(one, source, batch)
    return StateFacts(
        tensor=one.name,
        source=source.name,
        dtype=one.dtype,
        shape=shape,
        batch_axis=axis,
        initial=said.get("initial", 0.0),
    )


def _constant(one: TensorSpec, value: Any) -> ConstantFacts:
    """Return a constant, once its value is one that the input can hold.

    Raises:
        StageFailed: it has another type, or other axes; a single value stands for all elements of axes that do not vary.
    """
    import numpy as np

    try:
        array = np.asarray(value)
    except ValueError:  # lists of unlike lengths
        array = np.asarray(None)
    kinds = {"bytes": "U", "bool": "b"}.get(one.dtype, "iuf" if one.dtype.startswith("float") else "iu")
    axes = one.shape if one.shape is not None else array.shape
    is_one = not array.shape and all(isinstance(axis, int) for axis in axes)
    if array.dtype.kind not in kinds or not (is_one or _alike(axes, array.shape)):
        msg = f"{_place(one.name, 'constant')}: {value!r} cannot be the input {one}\n  allowed: a value of that type, or lists of them as its axes say"
        raise StageFailed(msg)
    return ConstantFacts(tensor=one.name, dtype=one.dtype, value=value)


def _without_batch(one: TensorSpec, source: TensorSpec, batch: Axis) -> tuple[int | None, tuple[Axis, ...]]:
    """Return which axis of a state is that of the batch, and the others; one that varies grows: its output is longer.

    Raises:
        StageFailed: the file does not say how many axes there are, or how long one is that does not grow.
    """
    axes = one.shape or ()
    after = source.shape if source.shape is not None else axes
    number = _batch_axis(axes, batch)
    rest = [(axis, later) for place, (axis, later) in enumerate(zip(axes, after, strict=True)) if place != number]
    if one.shape is None or any(isinstance(axis, str) and axis == later != "" for axis, later in rest):
        msg = (
            f"{_place(one.name)}: the state {one} is of no certain size, and its output is no longer: {source}\n"
            "  export the model with all of its axes fixed but that of the batch, and those that grow with each step, which have another name in the output"
        )
        raise StageFailed(msg)
    return number, tuple(later if isinstance(axis, str) and isinstance(later, int) else axis for axis, later in rest)


def _batch_axis(axes: tuple[Axis, ...], batch: Axis) -> int | None:
    """Return which axis of a state is that of the batch: the one of its name or length, or the first that varies.

    Of a file for one stream alone it is the first that is 1 long, or there is none.
    """
    same = [number for number, axis in enumerate(axes) if axis == batch != ""]
    varying = [number for number, axis in enumerate(axes) if isinstance(axis, str)]
    alone = [number for number, axis in enumerate(axes) if axis == 1]
    return next(iter((*same, *varying, *alone)), None)


def _alike(axes: tuple[Axis, ...] | None, others: tuple[Axis, ...] | None) -> bool:
    if axes is None or others is None:
        return True
    pairs = zip(axes, others, strict=False)
    return len(axes) == len(others) and all(
        isinstance(one, str) or isinstance(other, str) or one == other for one, other in pairs
    )


def _bound(inputs: tuple[InputFacts, ...], sent: list[str], told: Told) -> tuple[InputFacts, ...]:
    """Return the inputs with what the file calls each: as the project says, or the only one that is left."""
    arrays = {one.name: one for one in inputs}
    for tensor in sent:
        if name := told.get(tensor, {}).get("name", ""):
            _check_known(name, arrays, _place(tensor, "name"), "array of the data set")
            arrays[name] = msgspec.structs.replace(arrays[name], tensor=tensor)
    if len(arrays) == len(sent) == 1:
        return tuple(msgspec.structs.replace(one, tensor=one.tensor or sent[0]) for one in arrays.values())
    return tuple(arrays.values())


def _answers(outputs: tuple[OutputFacts, ...], given: list[str], told: Told) -> tuple[OutputFacts, ...]:
    """Return the outputs with what the file calls each: what the project calls like it, or the only one beside its states."""
    files = {told[tensor]["name"]: tensor for tensor in given if told.get(tensor, {}).get("name")}
    only = given[0] if len(outputs) == len(given) == 1 else ""
    found = {one.name: only if one.name in given else files.get(one.name, only) for one in outputs}
    return tuple(msgspec.structs.replace(one, tensor=one.tensor or found[one.name]) for one in outputs)


def _with(one: InputFacts, told: Told) -> InputFacts:
    """Return an input with the range and the overlap that the project says."""
    name = one.tensor or one.name
    said = told.get(name, {})
    if said.get("overlap") and not (one.shape and isinstance(one.shape[-1], int)):
        msg = (
            f"{_place(name, 'overlap')}: the samples of {one.name!r} have no last axis of a certain length: {one.shape}"
        )
        raise StageFailed(msg)
    value_range = said.get("range") or one.value_range
    return msgspec.structs.replace(
        one, value_range=tuple(value_range) if value_range else None, overlap=said.get("overlap", 0)
    )


def _named(one: OutputFacts, told: Told) -> OutputFacts:
    """Return an output with the name and the labels that the project says."""
    tensor = one.tensor or one.name
    said = told.get(tensor, {})
    labels = tuple(said.get("labels", one.labels))
    return msgspec.structs.replace(
        one, name=said.get("name") or one.name, labels=labels, tensor=one.tensor or (tensor if "name" in said else "")
    )


def _is_looped(inputs: tuple[InputFacts, ...], file: Mapping[str, TensorSpec]) -> bool:
    """Tell whether samples have an axis more than the file takes: then it takes one step of them at a time."""
    for one in inputs:
        spec = file.get(one.tensor or one.name)
        if spec is not None and spec.shape is not None:
            return len(one.shape) == len(spec.shape)  # of the file's axes, one is that of the batch
    return False


def _with_time(one: InputFacts, *, looped: bool) -> InputFacts:
    return msgspec.structs.replace(one, shape=(TIME, *one.shape[1:])) if looped else one


def _place(tensor: str, key: str = "") -> str:
    """Return where a tensor, or a key of its table, stands; whoever tells it adds file and line."""
    if not key:
        return f"[tool.modelyard.signature]: key {tensor!r}"
    return f"[tool.modelyard.signature.{tensor}]: key {key!r}"
