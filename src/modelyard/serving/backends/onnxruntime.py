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

from ..errors import StartError
from ..model import Facts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CHUNK = 16
"""Samples a run at most: enough to fill the kernels, little enough that activations stay small."""

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_DTYPES = {**_FLOATS, "tensor(int32)": np.int32, "tensor(int64)": np.int64}
_ERRORS_ONLY = 3


def open_model(folder: Path, threads: int = 1) -> OnnxModel:
    """Load the ONNX model in `folder`; one prediction uses `threads` threads.

    Raises:
        StartError: the model cannot be loaded, or does not fit its `model.json`.
    """
    facts = Facts.read(folder)
    try:
        session = onnxruntime.InferenceSession(
            str(_graph(facts.file)), _options(threads), providers=["CPUExecutionProvider"]
        )
    except Exception as exc:  # its errors have no other class in common
        msg = f"{facts.file}: not a model that ONNX Runtime can run: {_line(exc)}"
        raise StartError(msg) from exc
    return OnnxModel(facts, session)


def _graph(path: Path) -> Path:
    """Return the graph's file: the model's, or where its weights are in other files, the one in the model's folder."""
    return path / path.name if path.is_dir() else path


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = _ERRORS_ONLY
    # Threads that wait by spinning would eat the processor time that a container is limited to.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class OnnxModel:
    """A loaded ONNX model. Safe to share among threads: ONNX Runtime's sessions are.

    Attributes:
        facts: what `model.json` says.
    """

    def __init__(self, facts: Facts, session: onnxruntime.InferenceSession) -> None:
        self.facts = facts
        self._session = session
        self._input = _only(session.get_inputs(), "input", facts)
        self._output = _only(session.get_outputs(), "output", facts)
        self._check_shapes()
        batch = self._input.shape[0]
        self._batch = batch if isinstance(batch, int) else None

    def predict(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return what clients get, float32, shape `(N, *output.shape)`, for raw samples of shape `(N, *input.shape)`.

        Raises:
            InputError: the shape is another.
        """
        raw = self.facts.samples(raw)
        outputs = np.empty((len(raw), *self.facts.output.shape), np.float32)
        step = self.facts.at_once(self._batch or CHUNK)
        for start in range(0, len(raw), step):
            outputs[start : start + step] = self._run(raw[start : start + step])
        return self.facts.output.of(outputs)

    def _run(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return the model's own output for at most one run's samples."""
        inputs = self.facts.input.of(raw).astype(_DTYPES[self._input.type], copy=False)
        if self._batch is not None and len(inputs) < self._batch:
            rest = np.zeros((self._batch - len(inputs), *inputs.shape[1:]), inputs.dtype)
            inputs = np.concatenate([inputs, rest])
        try:
            (answer,) = self._session.run([self._output.name], {self._input.name: inputs})
        except Exception as exc:  # its errors have no other class in common
            msg = f"{self.facts.file}: ONNX Runtime cannot run it: {_line(exc)}"
            raise RuntimeError(msg) from exc
        return np.asarray(answer, np.float32)[: len(raw)]

    def _check_shapes(self) -> None:
        expected = self.facts.input.shape, self.facts.output.shape
        if not (_fits(self._input.shape, expected[0]) and _fits(self._output.shape, expected[1])):
            takes, answers = (tuple(one.shape[1:]) for one in (self._input, self._output))
            said = f"{expected[0]} and {expected[1]}"
            msg = f"{self.facts.file}: takes {takes} and answers {answers}; its model.json says {said}"
            raise StartError(msg)


def _fits(shape: list[int | str | None], sample: tuple[int | str, ...]) -> bool:
    """Tell whether a tensor of `shape` (a name or None: any size) holds samples of the shape `sample`."""
    sizes = shape[1:]
    return len(sizes) == len(sample) and all(
        one == other for one, other in zip(sizes, sample, strict=True) if isinstance(one, int)
    )


def _only(tensors: list[Any], what: str, facts: Facts) -> Any:
    if len(tensors) != 1:
        names = ", ".join(repr(tensor.name) for tensor in tensors)
        msg = f"{facts.file}: has {len(tensors)} {what} tensors ({names}), expected one"
        raise StartError(msg)
    (tensor,) = tensors
    allowed = _DTYPES if what == "input" and facts.input.dtype.kind == "i" else _FLOATS
    if tensor.type not in allowed:
        msg = f"{facts.file}: {what} {tensor.name!r} is a {tensor.type}; allowed: {', '.join(allowed)}"
        if what == "input" and tensor.type in _DTYPES:
            msg += f"; samples of {facts.input.dtype} reach it as float32: a data set of int32 or int64 fits it"
        raise StartError(msg)
    return tensor


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
