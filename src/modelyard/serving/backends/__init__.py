"""What runs a model: one module a runtime, each with `open_model(folder, threads=1)`."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import StartError
from ..model import Facts, Predictor

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
    function = _function(backend)
    try:
        predictor = function(folder, threads=threads)
        return predictor if hasattr(predictor, "run") else ByPredict(predictor, Facts.read(folder))
    except (OSError, RuntimeError, TypeError, ValueError) as exc:
        line = " ".join(str(exc).split())
        msg = f"{folder}: backend {backend!r} cannot open the model: {line}"
        raise StartError(msg) from exc


class ByPredict:
    """A model of one input and one output, opened by a function of one's own whose model only has `predict(raw)`."""

    def __init__(self, predictor: Any, facts: Facts) -> None:
        self._predict = predictor.predict
        self._input, self._output = facts.input.name, facts.output

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the only output by its name, for raw samples by the name of the only input."""
        return {self._output.name: np.asarray(self._predict(inputs[self._input]), self._output.dtype)}


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
