"""LiteRT (TensorFlow Lite): models of floats, integers and texts, whatever their batch."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ..errors import InputError, StartError
from ..model import Facts
from ..streams import Streamed, in_file
from ..tensor_facts import BYTES, Output
from .parts import InParts, cast, from_file, to_file, without_batch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ..tensor_facts import Input

Details = dict[str, Any]
"""What LiteRT says of a tensor."""


def open_model(folder: Path, threads: int = 1) -> LiteRTModel | Streamed:
    """Load the LiteRT model in `folder`; one prediction uses `threads` threads.

    Raises:
        StartError: the model cannot be loaded, or does not fit its `model.json`.
    """
    facts = Facts.read(folder)
    try:
        interpreter = Interpreter(model_path=str(facts.file), num_threads=threads)
        is_ready = _allocated(interpreter, facts)
    except (RuntimeError, ValueError) as exc:
        line = " ".join(str(exc).split())
        msg = f"{facts.file}: not a model that LiteRT can run: {line}"
        raise StartError(msg) from exc
    model = LiteRTModel(in_file(facts), interpreter, is_ready=is_ready)
    return Streamed(model, facts) if facts.keeps else model


def _allocated(interpreter: Interpreter, facts: Facts) -> bool:
    """Lay out the memory of a model; return whether that is done.

    An axis that varies is 1 long in the file, which may be shorter than the model can take: its first samples then say how
    long it is.
    """
    try:
        interpreter.allocate_tensors()
    except RuntimeError:
        if not facts.varies:
            raise
        return False
    return True


class LiteRTModel(InParts):
    """A loaded LiteRT model. Safe to share among threads: one run at a time."""

    def __init__(self, facts: Facts, interpreter: Interpreter, *, is_ready: bool = True) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()
        takes, answers = _by_name(interpreter, "input"), _by_name(interpreter, "output")
        self._inputs = [_named(takes, one, "input", facts) for one in facts.inputs]
        self._outputs = [_named(answers, one, "output", facts) for one in facts.outputs]
        self._constants = [_constant(takes, name, array, facts) for name, array in facts.constants.items()]
        _check_all_given(takes, self._inputs, facts)
        for found, one in zip(self._inputs, facts.inputs, strict=True):
            _check_input(found, one, facts)
        for found, out in zip(self._outputs, facts.outputs, strict=True):
            _check_output(found, out, facts)
        self._given, self._answered = ([one["index"] for one in found] for found in (self._inputs, self._outputs))
        axes = [(found, one.batch_axis) for found, one in zip(self._inputs, facts.inputs, strict=True)]
        self._resizable = all(axis is None or _varies(found, axis) for found, axis in axes)
        self._shapes: list[tuple[int, ...]] = [_shape(one) for one in self._inputs] if is_ready else []
        self._check_shapes(facts)
        super().__init__(facts, None if self._resizable else _batch(self._inputs, facts))

    def run_once(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the file's own outputs, dequantized, for its inputs, both in the order of the facts."""
        given = list(map(quantize, inputs, self._inputs, self.facts.inputs))
        given = list(map(to_file, given, self.facts.inputs))
        with self._lock:
            try:
                self._resize([array.shape for array in given])
                for index, array in (*zip(self._given, given, strict=True), *self._constants):
                    self._interpreter.set_tensor(index, array)
                self._interpreter.invoke()
            except RuntimeError as exc:
                self._shapes = []  # whatever it was left in, it is resized for the next
                if not self.facts.is_choosy:
                    raise
                msg = f"the model cannot be run on these samples: {' '.join(str(exc).split())[:300]}"
                raise InputError(msg) from exc
            answers = [self._interpreter.get_tensor(index) for index in self._answered]
        return list(map(_answer, answers, self._outputs, self.facts.outputs))

    def _resize(self, shapes: list[tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        for found, shape in zip(self._inputs, shapes, strict=True):
            self._interpreter.resize_tensor_input(found["index"], shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def _check_shapes(self, facts: Facts) -> None:
        takes = [without_batch(_shape(one), own) for one, own in zip(self._inputs, facts.inputs, strict=True)]
        answers = [without_batch(_shape(one), own) for one, own in zip(self._outputs, facts.outputs, strict=True)]
        tensors: tuple[Input | Output, ...] = (*facts.inputs, *facts.outputs)
        if not all(map(_fits, (*self._inputs, *self._outputs), tensors)):
            said = f"{_listed([one.shape for one in facts.inputs])} and {_listed([one.shape for one in facts.outputs])}"
            what = f"takes {_listed(takes)} and answers {_listed(answers)}"
            msg = f"{facts.file}: {what}; its model.json says {said}"
            raise StartError(msg)


def quantize(values: NDArray[Any], tensor: Mapping[str, Any], one: Input) -> NDArray[Any]:
    """Return `values` as `tensor` holds them: `round(value / scale) + zero_point`, clipped to the dtype.

    A tensor of floats, or of integers without a scale, holds the values themselves; so do signed whole numbers of its own
    dtype.

    Raises:
        InputError: a value is NaN, and the tensor holds integers; or a whole number is beyond them.

    Source: LiteRT 8-bit quantization specification, `real = (int - zero_point) * scale`.
    """
    dtype = _dtype(tensor)
    if dtype.kind not in "iu" or not tensor["quantization"][0] or (values.dtype == dtype and dtype.kind == "i"):
        return cast(values, dtype, one)
    if np.isnan(values).any():
        msg = f"input {one.name!r}: a sample holds NaN, which the model's {dtype} input cannot represent"
        raise InputError(msg)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    steps = np.rint(values.astype(np.float32, copy=False) / np.float32(scale)) + np.float32(zero_point)
    clipped: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(dtype)
    return clipped


def dequantize(values: NDArray[Any], tensor: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return what `tensor` holds as float32: `(value - zero_point) * scale`; floats stay.

    Source: LiteRT 8-bit quantization specification.
    """
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False)
    scale, zero_point = tensor["quantization"]
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def _answer(values: NDArray[Any], tensor: Details, one: Output) -> NDArray[Any]:
    if values.dtype != one.dtype:
        values = dequantize(values, tensor).astype(one.dtype, copy=False)
    return from_file(values, one)


def _by_name(interpreter: Interpreter, what: str) -> dict[str, Details]:
    """Return the file's tensors by name: those of its signature, if it has one, else its own."""
    tensors = interpreter.get_input_details() if what == "input" else interpreter.get_output_details()
    by_index = {int(one["index"]): one for one in tensors}
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        told = runner.get_input_details() if what == "input" else runner.get_output_details()
        found = {name: by_index.get(int(one["index"])) for name, one in told.items()}
        if len(found) == len(tensors) and None not in found.values():  # else it is another graph's
            return {name: one for name, one in found.items() if one is not None}
    return {str(one["name"]): one for one in tensors}


def _named(tensors: Mapping[str, Details], one: Input | Output, what: str, facts: Facts) -> Details:
    """Return the file's tensor that is `one`: by its name, never by its place, unless there is only one on either side."""
    wanted = one.tensor or one.name
    own = {str(tensor["name"]): tensor for tensor in tensors.values()}
    if (found := tensors.get(wanted) or own.get(wanted)) is not None:
        return found
    said = facts.inputs if what == "input" else facts.outputs
    if len(tensors) == len(said) == 1 and not one.tensor:
        return next(iter(tensors.values()))
    names = ", ".join(map(repr, tensors))
    msg = f"{facts.file}: has {len(tensors)} {what} tensors ({names}), none is {wanted!r}, which model.json names"
    raise StartError(msg)


def _constant(tensors: Mapping[str, Details], name: str, array: NDArray[Any], facts: Facts) -> tuple[int, NDArray[Any]]:
    """Return where a constant goes, and what it always holds, in the shape of the file's tensor."""
    found = tensors.get(name)
    if found is None or _dtype(found) != array.dtype or array.shape not in ((), _shape(found)):
        what = "has no such input" if found is None else f"its input is {_dtype(found)}, {_shape(found)}"
        msg = f"{facts.file}: model.json says the constant {name!r}, {array.dtype}, {array.shape}; {what}"
        raise StartError(msg)
    return int(found["index"]), np.array(np.broadcast_to(array, _shape(found)))


def _check_all_given(takes: Mapping[str, Details], inputs: list[Details], facts: Facts) -> None:
    given = {one["index"] for one in inputs} | {takes[name]["index"] for name in facts.constants}
    if left := sorted(name for name, one in takes.items() if one["index"] not in given):
        msg = f"{facts.file}: needs input {left[0]!r}, too, which model.json does not name"
        raise StartError(msg)


def _check_input(tensor: Details, one: Input, facts: Facts) -> None:
    dtype = _dtype(tensor)
    where = f"{facts.file}: input tensor {str(tensor['name'])!r} is {'bytes' if dtype == BYTES else dtype}"
    if dtype.kind not in "fiubO" or any((dtype.kind == kind) != (one.dtype.kind == kind) for kind in "bO"):
        msg = f"{where}; model.json says {'bytes' if one.dtype == BYTES else one.dtype}"
        raise StartError(msg)
    is_same = one.is_plain and one.dtype == dtype
    if dtype.kind in "iu" and not tensor["quantization"][0] and one.dtype.kind != "i" and not is_same:
        msg = (
            f"{where} without a scale; samples of {one.dtype} reach it as float32: a data set of int32 or int64 fits it"
        )
        raise StartError(msg)


def _check_output(tensor: Details, one: Output, facts: Facts) -> None:
    dtype = _dtype(tensor)
    if dtype == one.dtype or (one.dtype.kind == "f" and dtype.kind == "f"):
        return
    if one.dtype.kind == "f" and dtype.kind in "iu" and tensor["quantization"][0]:
        return
    scale = " without a scale" if dtype.kind in "iu" else ""
    said = "bytes" if one.dtype == BYTES else one.dtype
    msg = f"{facts.file}: output tensor {str(tensor['name'])!r} is {'bytes' if dtype == BYTES else dtype}{scale}; model.json says {said}"
    raise StartError(msg)


def _dtype(tensor: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the type of a tensor's elements; of texts that of `bytes` objects, as which they go and come."""
    dtype = np.dtype(tensor["dtype"])
    return BYTES if dtype.kind == "S" else dtype


def _shape(tensor: Details) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor["shape"])


def _varies(tensor: Details, axis: int) -> bool:
    signature = tensor.get("shape_signature")
    return signature is not None and len(signature) > axis and int(signature[axis]) == -1


def _fits(tensor: Details, one: Input | Output) -> bool:
    """Tell whether a tensor holds what `one` says; what varies is 1 long until it is resized."""
    sizes = without_batch(_shape(tensor), one)
    numbers = without_batch(range(len(_shape(tensor))), one)
    return len(sizes) == len(one.shape) and all(
        size == axis or _varies(tensor, number) or (isinstance(axis, str) and isinstance(one, Output))
        for number, size, axis in zip(numbers, sizes, one.shape, strict=True)
    )


def _batch(inputs: list[Details], facts: Facts) -> int:
    """Return the number of samples that the file takes at once."""
    axes = [(_shape(one), own.batch_axis) for one, own in zip(inputs, facts.inputs, strict=True)]
    found = {shape[axis] for shape, axis in axes if axis is not None}
    if len(found) > 1:
        msg = f"{facts.file}: its inputs take unlike numbers of samples: {', '.join(map(str, sorted(found)))}"
        raise StartError(msg)
    return found.pop()


def _listed(shapes: list[Any]) -> str:
    return ", ".join(map(str, shapes))
