"""What runs a model: one module a runtime, each with `open_model(folder, threads=1)`."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..errors import StartError
from ..model import Predictor

if TYPE_CHECKING:
    from pathlib import Path

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
        return function(folder, threads=threads)
    except (OSError, RuntimeError, TypeError, ValueError) as exc:
        line = " ".join(str(exc).split())
        msg = f"{folder}: backend {backend!r} cannot open the model: {line}"
        raise StartError(msg) from exc


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
