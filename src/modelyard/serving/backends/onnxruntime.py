"""ONNX Runtime on the CPU: floating-point and quantized models, whatever their batch."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# Before the import, which looks at it once. From 1.29 on, ONNX Runtime's wheels for Linux else send names, hashes and
# timings of models to their maker, and keep an identifier in the home directory.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime

from ..errors import InputError, StartError
from ..model import Facts
from ..streams import Streamed, in_file
from ..tensor_facts import BYTES, WHOLE, Input, Output
from .parts import InParts, cast, from_file, to_file, without_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FLOATS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_WHOLE = {f"tensor({name})": name for name in WHOLE}
_DTYPES: dict[str, np.dtype[Any]] = {name: np.dtype(kind) for name, kind in (*_FLOATS.items(), *_WHOLE.items())}
_DTYPES |= {"tensor(bool)": np.dtype(bool), "tensor(string)": BYTES}
_ERRORS_ONLY = 3


def open_model(folder: Path, threads: int = 1) -> OnnxModel | Streamed:
    """Load the ONNX model in `folder`; one prediction uses `threads` threads.

    Raises:
        StartError: the model cannot be loaded, or does not fit its `model.json`.
    """
    facts = Facts.read(folder)
    try:
        session = onnxruntime.InferenceSession(
            str(_graph(facts.file)), _options(threads, in_file(facts)), providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # its errors have no other class in common
        msg = f"{facts.file}: not a model that ONNX Runtime can run: {_line(exc)}"
        raise StartError(msg) from exc
    model = OnnxModel(in_file(facts), session)
    return Streamed(model, facts) if facts.keeps else model


def _graph(path: Path) -> Path:
    """Return the graph's file: the model's, or where its weights are in other files, the one in the model's folder."""
    return path / path.name if path.is_dir() else path


def _options(threads: int, facts: Facts) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = _ERRORS_ONLY
    options.enable_mem_pattern = not facts.varies  # a pattern of memory would be kept for every shape that ever came
    # Threads that wait by spinning would eat the processor time that a container is limited to.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class OnnxModel(InParts):
    """A loaded ONNX model. Safe to share among threads: ONNX Runtime's sessions are."""

    def __init__(self, facts: Facts, session: onnxruntime.InferenceSession) -> None:
        takes, answers = session.get_inputs(), session.get_outputs()
        inputs = [_named(takes, one, "input", facts) for one in facts.inputs]
        outputs = [_named(answers, one, "output", facts) for one in facts.outputs]
        self._constants = {name: _constant(takes, name, array, facts) for name, array in facts.constants.items()}
        _check_all_given(takes, inputs, facts)
        for found, one in zip(inputs, facts.inputs, strict=True):
            _check_input(found, one, facts)
        for found, out in zip(outputs, facts.outputs, strict=True):
            _check_output(found, out, facts)
        _check_shapes(inputs, outputs, facts)
        super().__init__(facts, _batch(inputs, facts))
        self._session = session
        self._inputs = [(found.name, _DTYPES[found.type]) for found in inputs]
        self._outputs = [found.name for found in outputs]
        self._given_back = _run_options() if facts.varies else None

    def run_once(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the file's own outputs for its inputs, both in the order of the facts."""
        feeds = {
            name: to_file(_texts(array, one) if dtype == BYTES else cast(array, dtype, one), one)
            for (name, dtype), array, one in zip(self._inputs, inputs, self.facts.inputs, strict=True)
        }
        try:
            answers = self._session.run(self._outputs, feeds | self._constants, self._given_back)
        except Exception as exc:  # its errors have no other class in common
            if self.facts.is_choosy:
                msg = f"the model cannot be run on these samples: {_line(exc)[:300]}"
                raise InputError(msg) from exc
            msg = f"{self.facts.file}: ONNX Runtime cannot run it: {_line(exc)}"
            raise RuntimeError(msg) from exc
        return [_answer(array, one) for array, one in zip(answers, self.facts.outputs, strict=True)]


def _run_options() -> onnxruntime.RunOptions:
    """Return what has memory given back after each run: else the longest samples that ever came would keep theirs."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _texts(array: NDArray[Any], one: Input) -> NDArray[Any]:
    """Return texts as ONNX Runtime takes them.

    Raises:
        InputError: one is not UTF-8.
    """
    try:
        found = [text.decode() for text in array.ravel().tolist()]
    except UnicodeDecodeError as exc:
        msg = f"input {one.name!r}: a text is not UTF-8, and ONNX knows no other"
        raise InputError(msg) from exc
    return np.array(found, BYTES).reshape(array.shape)


def _answer(array: NDArray[Any], one: Output) -> NDArray[Any]:
    if one.dtype == BYTES:
        found = np.empty(array.size, BYTES)
        found[:] = [text.encode() for text in array.ravel().tolist()]
        return found.reshape(array.shape)
    return from_file(array.astype(one.dtype, copy=False), one)


def _named(tensors: Sequence[Any], one: Input | Output, what: str, facts: Facts) -> Any:
    """Return the file's tensor that is `one`: by its name, never by its place, unless there is only one on either side."""
    wanted = one.tensor or one.name
    found = [tensor for tensor in tensors if tensor.name == wanted]
    said = facts.inputs if what == "input" else facts.outputs
    if not found and len(tensors) == len(said) == 1 and not one.tensor:
        return tensors[0]
    if not found:
        names = ", ".join(repr(tensor.name) for tensor in tensors)
        msg = f"{facts.file}: has {len(tensors)} {what} tensors ({names}), none is {wanted!r}, which model.json names"
        raise StartError(msg)
    return found[0]


def _check_all_given(takes: Sequence[Any], inputs: Sequence[Any], facts: Facts) -> None:
    if left := sorted({one.name for one in takes} - {one.name for one in inputs} - {*facts.constants}):
        msg = f"{facts.file}: needs input {left[0]!r}, too, which model.json does not name"
        raise StartError(msg)


def _constant(tensors: Sequence[Any], name: str, array: NDArray[Any], facts: Facts) -> NDArray[Any]:
    """Return what an input always holds, in the shape that the file's tensor has, where that is a certain one."""
    found = next((tensor for tensor in tensors if tensor.name == name), None)
    if found is None:
        msg = f"{facts.file}: has no input tensor {name!r}, which is a constant of model.json"
        raise StartError(msg)
    own = found.shape
    shape = own if own and all(isinstance(size, int) for size in own) and array.ndim == 0 else array.shape
    fits = len(shape) == len(own) and all(
        size == axis for size, axis in zip(shape, own, strict=True) if isinstance(axis, int)
    )
    if not fits or _DTYPES.get(found.type) != array.dtype:
        msg = f"{facts.file}: input {name!r} is a {found.type} of shape {own}; its constant in model.json is {array.dtype}, {array.shape}"
        raise StartError(msg)
    return np.array(np.broadcast_to(array, shape))


def _check_input(found: Any, one: Input, facts: Facts) -> None:
    dtype = _DTYPES.get(found.type)
    if dtype is None or not _takes(dtype, one):
        allowed = [kind for kind, known in _DTYPES.items() if _takes(known, one)]
        msg = f"{facts.file}: input {found.name!r} is a {found.type}; allowed: {', '.join(allowed)}"
        if dtype is not None and dtype.kind == "i" and one.dtype.kind == "u":
            msg += f"; samples of {one.dtype} reach it as float32: a data set of int32 or int64 fits it"
        raise StartError(msg)


def _takes(dtype: np.dtype[Any], one: Input) -> bool:
    """Tell whether samples of `one` can go into a tensor of `dtype`."""
    if dtype == BYTES or one.dtype == BYTES:
        return dtype == one.dtype
    if dtype.kind == "f":
        return True
    if one.dtype.kind == "i":
        return dtype.kind in "iub"
    return one.is_plain and dtype == one.dtype


def _check_output(found: Any, one: Output, facts: Facts) -> None:
    dtype = _DTYPES.get(found.type)
    if dtype is None or not (dtype == one.dtype or (dtype.kind == "f" and one.dtype.kind == "f")):
        kinds = [kind for kind, known in _DTYPES.items() if known == one.dtype or known.kind == one.dtype.kind == "f"]
        msg = f"{facts.file}: output {found.name!r} is a {found.type}; allowed: {', '.join(kinds)}"
        raise StartError(msg)


def _check_shapes(inputs: Sequence[Any], outputs: Sequence[Any], facts: Facts) -> None:
    for found, one in zip(outputs, facts.outputs, strict=True):
        if one.shape == ("...",):
            msg = f"{facts.file}: does not say how many axes its output {found.name!r} has; say them, without that of the batch: axes = [...], of the output in [tool.modelyard.signature]"
            raise StartError(msg)
    tensors: tuple[Input | Output, ...] = (*facts.inputs, *facts.outputs)
    if all(map(_fits, (*inputs, *outputs), tensors)):
        return
    takes = [without_batch(one.shape or [], own) for one, own in zip(inputs, facts.inputs, strict=True)]
    answers = [without_batch(one.shape or [], own) for one, own in zip(outputs, facts.outputs, strict=True)]
    said = f"{_listed([one.shape for one in facts.inputs])} and {_listed([one.shape for one in facts.outputs])}"
    msg = f"{facts.file}: takes {_listed(takes)} and answers {_listed(answers)}; its model.json says {said}"
    raise StartError(msg)


def _listed(shapes: Sequence[object]) -> str:
    return ", ".join(map(str, shapes))


def _fits(tensor: Any, one: Input | Output) -> bool:
    """Tell whether a tensor (a name or None among its sizes: any size) holds what `one` says."""
    if not tensor.shape:  # none, or unknown; the first sample tells
        return True
    sizes = without_batch(tensor.shape, one)
    return len(sizes) == len(one.shape) and all(
        size == axis for size, axis in zip(sizes, one.shape, strict=True) if isinstance(size, int)
    )


def _batch(inputs: Sequence[Any], facts: Facts) -> int | None:
    """Return the number of samples that the file takes at once; None: any."""
    axes = [(one.shape, own.batch_axis) for one, own in zip(inputs, facts.inputs, strict=True)]
    found = {shape[axis] for shape, axis in axes if axis is not None and shape and isinstance(shape[axis], int)}
    if len(found) > 1:
        msg = f"{facts.file}: its inputs take unlike numbers of samples: {', '.join(map(str, sorted(found)))}"
        raise StartError(msg)
    return found.pop() if found else None


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
