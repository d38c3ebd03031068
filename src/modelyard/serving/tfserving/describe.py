"""What the API says of the model: its status, and its metadata."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..served import Served
    from ..tensors import TensorSpec

SIGNATURE = "serving_default"
METHOD = "tensorflow/serving/predict"


def status(model: Served, version: str | None = None) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>`: of all versions, the highest first, or of the one that is named."""
    state = {"error_code": "OK", "error_message": ""}
    versions = sorted(map(int, model.versions), reverse=True) if version is None else []
    return {
        "model_version_status": [
            {"version": str(one), "state": "AVAILABLE", "status": state} for one in versions or [int(model.version)]
        ]
    }


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>/metadata`."""
    signature = {
        "inputs": {name: _tensor_info(spec) for name, spec in model.inputs.items()},
        "outputs": {name: _tensor_info(spec) for name, spec in model.outputs.items()},
        "method_name": METHOD,
        "defaults": {},
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(int(model.version))},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor_info(tensor: TensorSpec) -> dict[str, Any]:
    kinds = {"float16": "DT_HALF", "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "object": "DT_STRING"}
    return {
        "dtype": kinds.get(tensor.dtype.name, f"DT_{tensor.dtype.name.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in tensor.dims],
            "unknown_rank": False,
        },
        "name": f"{tensor.name}:0",
    }
