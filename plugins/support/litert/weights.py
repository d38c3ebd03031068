"""The weights in a LiteRT model (`.tflite`): their types, zeros and different values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard_plugins.support.keras.kernels import sparsity, unique_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard_plugins.support.keras.kernels import Kernels


def litert_kernels(data: bytes) -> Kernels:
    """Return every constant of two axes or more that is float or a quantized weight, by its tensor's name.

    A float16 weight comes as float16, an int8 weight as the integers that are stored.
    """
    import numpy as np
    from tensorflow.lite.python.schema_py_generated import TensorType
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    dtypes = {TensorType.FLOAT32: np.float32, TensorType.FLOAT16: np.float16, TensorType.INT8: np.int8}
    found: Kernels = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            stored = model.buffers[tensor.buffer].data
            if stored is not None and tensor.type in dtypes and len(tensor.shape) > 1:
                values = np.frombuffer(bytes(stored), dtypes[tensor.type]).reshape(tensor.shape)
                found[_name(tensor.name.decode(), found)] = values
    return found


def _name(full: str, taken: Mapping[str, Any]) -> str:
    """Return the first of the names that the converter has joined; with all of them if it is taken."""
    first = full.partition(";")[0]
    return full if first in taken else first


def check_types(kernels: Kernels, dtype: str, *, at_least: int | None = None, advice: str) -> None:
    """Check that the converter did what was asked of it.

    Args:
        kernels: the model's weights.
        dtype: the type that they should have: `float32`, `float16` or `int8`.
        at_least: how many of them should; None for all.
        advice: what to do if they have not.

    Raises:
        StageFailed: fewer have.
    """
    others = {name: str(kernel.dtype) for name, kernel in kernels.items() if kernel.dtype != dtype}
    done = len(kernels) - len(others)
    if done < (len(kernels) if at_least is None else at_least):
        listed = ", ".join(f"{name} ({kind})" for name, kind in others.items())
        msg = f"the LiteRT converter made {done} of {len(kernels)} kernels {dtype}; the others: {listed}\n  {advice}"
        raise StageFailed(msg)


def weight_figures(kernels: Kernels) -> dict[str, Any]:
    """Return figures for `stage.json`: sparsity, and for each kernel its type and its number of different values."""
    return {
        "sparsity": sparsity(kernels.values()),
        "kernels": {
            name: {"dtype": str(kernel.dtype), "unique_weights": unique_weights(kernel)}
            for name, kernel in kernels.items()
        },
    }
