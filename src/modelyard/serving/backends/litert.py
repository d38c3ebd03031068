"""LiteRT (TensorFlow Lite): float32 and integer models, whatever their batch."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ..errors import InputError, StartError
from ..model import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

CHUNK = 16
"""Samples a run at most: enough to fill the kernels, little enough that activations stay small."""


def open_model(folder: Path, threads: int = 1) -> LiteRTModel:
    """Load the LiteRT model in `folder`; one prediction uses `threads` threads.

    Raises:
        StartError: the model cannot be loaded, or does not fit its `model.json`.
    """
    facts = Facts.read(folder)
    try:
        interpreter = Interpreter(model_path=str(facts.file), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as exc:
        line = " ".join(str(exc).split())
        msg = f"{facts.file}: not a model that LiteRT can run: {line}"
        raise StartError(msg) from exc
    return LiteRTModel(facts, interpreter)


class LiteRTModel:
    """A loaded LiteRT model. Safe to share among threads: one prediction runs at a time.

    Attributes:
        facts: what `model.json` says.
    """

    def __init__(self, facts: Facts, interpreter: Interpreter) -> None:
        self.facts = facts
        self._interpreter = interpreter
        self._lock = threading.Lock()
        self._input = _only(interpreter.get_input_details(), "input", facts)
        self._output = _only(interpreter.get_output_details(), "output", facts)
        self._batch = int(self._input["shape"][0])
        self._resizable = _any_batch(self._input)
        self._check_shapes()

    def predict(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return what clients get, float32, shape `(N, *output.shape)`, for raw samples of shape `(N, *input.shape)`.

        Raises:
            InputError: the shape is another, or a sample holds NaN and the model's input is an integer.
        """
        raw = self.facts.samples(raw)
        outputs = np.empty((len(raw), *self.facts.output.shape), np.float32)
        step = self.facts.at_once(CHUNK if self._resizable else self._batch)
        with self._lock:
            for start in range(0, len(raw), step):
                outputs[start : start + step] = self._run(raw[start : start + step])
        return self.facts.output.of(outputs)

    def _run(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return the model's own output, dequantized, for at most one run's samples."""
        inputs = quantize(self.facts.input.of(raw), self._input)
        if self._resizable:
            self._resize(len(inputs))
        elif len(inputs) < self._batch:
            rest = np.zeros((self._batch - len(inputs), *inputs.shape[1:]), inputs.dtype)
            inputs = np.concatenate([inputs, rest])
        self._interpreter.set_tensor(self._input["index"], inputs)
        self._interpreter.invoke()
        return dequantize(self._interpreter.get_tensor(self._output["index"])[: len(raw)], self._output)

    def _resize(self, batch: int) -> None:
        if batch != self._batch:
            self._interpreter.resize_tensor_input(self._input["index"], [batch, *self.facts.input.shape])
            self._interpreter.allocate_tensors()
            self._batch = batch

    def _check_shapes(self) -> None:
        takes = tuple(int(size) for size in self._input["shape"][1:])
        answers = tuple(int(size) for size in self._output["shape"][1:])
        expected = (self.facts.input.shape, self.facts.output.shape)
        if (takes, answers) != expected:
            said = f"{expected[0]} and {expected[1]}"
            msg = f"{self.facts.file}: takes {takes} and answers {answers}; its model.json says {said}"
            raise StartError(msg)


def quantize(values: NDArray[Any], tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Return `values` as `tensor` holds them: `round(value / scale) + zero_point`, clipped to the dtype.

    A tensor of floats, or of integers without a scale, holds the values themselves.

    Raises:
        InputError: a value is NaN, and the tensor holds integers.

    Source: LiteRT 8-bit quantization specification, `real = (int - zero_point) * scale`.
    """
    dtype = np.dtype(tensor["dtype"])
    if dtype.kind == "f" or not tensor["quantization"][0]:
        return values.astype(dtype, copy=False)
    if np.isnan(values).any():
        msg = f"a sample holds NaN, which the model's {dtype} input cannot represent"
        raise InputError(msg)
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    steps = np.rint(values / np.float32(scale)) + np.float32(zero_point)
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


def _only(tensors: list[dict[str, Any]], what: str, facts: Facts) -> dict[str, Any]:
    if len(tensors) != 1:
        names = ", ".join(repr(str(tensor["name"])) for tensor in tensors)
        msg = f"{facts.file}: has {len(tensors)} {what} tensors ({names}), expected one"
        raise StartError(msg)
    tensor = tensors[0]
    takes_whole = what == "input" and facts.input.dtype.kind == "i"
    if np.dtype(tensor["dtype"]).kind in "iu" and not tensor["quantization"][0] and not takes_whole:
        msg = f"{facts.file}: {what} tensor {tensor['name']!r} is {np.dtype(tensor['dtype'])} without a scale"
        if what == "input":
            msg += f"; samples of {facts.input.dtype} reach it as float32: a data set of int32 or int64 fits it"
        raise StartError(msg)
    return tensor


def _any_batch(tensor: Mapping[str, Any]) -> bool:
    signature = tensor.get("shape_signature")
    return signature is not None and len(signature) > 0 and int(signature[0]) == -1
