"""What the protocol says of the server, of the model and of its tensors."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from ..served import Served
    from ..tensors import TensorSpec

SERVER = "modelyard"
EXTENSIONS = ("binary_tensor_data", "classification", "schedule_policy")
PLATFORMS = {"tflite": "litert_tflite", "onnx": "onnx_onnxv1"}
"""The protocol's name of a format, `<project>_<format>`; any other format stands for itself."""


def extensions(model: Served) -> tuple[str, ...]:
    """Return the protocol's extensions that are there for `model`."""
    return EXTENSIONS if model.no_sequences else (*EXTENSIONS, "sequence")


def check_model(model: Served, name: str, version: str) -> None:
    """Refuse another model or version than the one that is served.

    Raises:
        RequestError: 404.
    """
    if name != model.name:
        raise RequestError(404, f"unknown model {name!r}; served: {_listed(model.names or (model.name,))}")
    if version != model.version:
        served = _listed(model.versions or (model.version,))
        raise RequestError(404, f"model {name!r} has no version {version!r}; served: {served}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v2/models/<name>`."""
    labels = model.labels
    said: dict[str, Any] = {"labels": labels} if len(model.outputs) > 1 else {}
    if len(model.outputs) == 1:
        said = {"class_names": list(next(iter(labels.values()), ()))}
    return {
        "name": model.name,
        "versions": [*(model.versions or (model.version,))],
        "platform": PLATFORMS.get(model.facts.format, model.facts.format),
        "inputs": [tensor(spec) for spec in model.inputs.values()],
        "outputs": [tensor(spec) for spec in model.outputs.values()],
        "parameters": {**said, **model.identity},
    }


def tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return what metadata and answers say of a tensor."""
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": spec.dims}


@functools.cache  # numpy's names cost a tenth of a whole request
def datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's name of `dtype`."""
    names = {"float16": "FP16", "float32": "FP32", "float64": "FP64", "object": "BYTES"}
    return names.get(dtype.name, dtype.name.upper())
