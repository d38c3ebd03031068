"""What runs a model: one module a runtime, each with `open_model(folder, threads=1)`."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import StartError
from ..model import Facts, Predictor
from .parts import InParts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

OpenModel = Callable[..., Predictor]
"""`open_model(folder, threads=1)`: loads the model in `folder`; one prediction uses `threads` threads."""

BUILT_IN = {name: f"{__name__}.{name}:open_model" for name in ("litert", "onnxruntime")}


def open_model(backend: str, folder: Path, threads: int) -> Predictor:
    """Open the model in `folder` with `backend`: a built-in's name, or `module:function`.

    Raises:
        StartError: there is no such backend, or it cannot open the model.
    """
    return opened(_function(backend), folder, threads, f"backend {backend!r}")


def opened(function: Callable[..., Any], folder: Path, threads: int, what: str = "the runtime") -> Predictor:
    """Open the model in `folder` as `function(folder, threads=threads)` does, whose model may have less than the server asks of one.

    Args:
        function: returns a model that has `run`, as a `Predictor` does; or only `predict(raw)`, which answers what clients get
            for raw samples, of a model of one input and one output; or only `run_once(inputs)`, which is a list of the file's own
            tensors for such a list, both in the order of `model.json`.
        folder: the folder with `model.json` and the model.
        threads: what one prediction uses.
        what: what to call the function in messages.

    Raises:
        StartError: it cannot open the model.
    """
    try:
        predictor = function(folder, threads=threads)
        if hasattr(predictor, "run"):
            return cast("Predictor", predictor)
        kind = ByTensors if hasattr(predictor, "run_once") else ByPredict
        return kind(predictor, Facts.read(folder))
    except (OSError, RuntimeError, TypeError, ValueError) as exc:
        line = " ".join(str(exc).split())
        msg = f"{folder}: {what} cannot open the model: {line}"
        raise StartError(msg) from exc


class ByPredict:
    """A model of one input and one output, opened by a function of one's own whose model only has `predict(raw)`."""

    def __init__(self, predictor: Any, facts: Facts) -> None:
        self._predict = predictor.predict
        self._input, self._output = facts.input.name, facts.output

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the only output by its name, for raw samples by the name of the only input."""
        return {self._output.name: np.asarray(self._predict(inputs[self._input]), self._output.dtype)}


class ByTensors(InParts):
    """A model whose model only has `run_once(inputs)`: samples are prepared for it, and its answers made what clients get."""

    def __init__(self, predictor: Any, facts: Facts) -> None:
        super().__init__(facts, batch=None)
        self._run_once = predictor.run_once

    def run_once(self, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the file's own outputs for its inputs, both in the order of the facts."""
        return [np.asarray(one) for one in self._run_once(inputs)]


def _function(backend: str) -> OpenModel:
    module, colon, name = BUILT_IN.get(backend, backend).partition(":")
    if not colon:
        msg = f"MODELYARD_BACKEND: unknown backend {backend!r}; known: {', '.join(BUILT_IN)}, or module:function"
        raise StartError(msg)
    try:
        return cast("OpenModel", getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError) as exc:
        msg = f"MODELYARD_BACKEND: {backend!r} cannot be loaded: {exc}"
        raise StartError(msg) from exc
