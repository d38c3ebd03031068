"""Weights quantized a part at a time, by the arithmetic of ONNX Runtime's quantizer: from a file to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_PART_BYTES = 32 << 20
"""So much of a weight is in memory at a time."""


def quantized_by_columns(array: NDArray[Any], made: NDArray[Any], kind: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Write a weight of which each column has a scale, and return these and the zero points, shape `(columns,)`.

    Args:
        array: the weight, float32, shape `(rows, columns)`.
        made: where to write it, of the same shape.
        kind: the type of `made` as ONNX numbers it.
    """
    import numpy as np

    rows, columns = array.shape
    scales, zeros = np.empty(columns, array.dtype), np.empty(columns, made.dtype)
    step = max(1, _PART_BYTES // (array.itemsize * rows))
    for start in range(0, columns, step):
        some = np.ascontiguousarray(array[:, start : start + step].T)
        quantized = np.empty(some.shape, made.dtype)
        for number, column in enumerate(some):
            zeros[start + number], scales[start + number], quantized[number] = _quantized(column, kind)
        made[:, start : start + step] = quantized.T
    return scales, zeros


def quantized_whole(array: NDArray[Any], made: NDArray[Any], kind: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Write a weight that has one scale, and return that and the zero point; see `quantized_by_columns`."""
    ends = [(array[some].min(), array[some].max()) for some in _parts(array)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    for some in _parts(array):
        zero, scale, made[some] = _quantized(array[some], kind, low, high)
    return scale, zero


def copied(array: NDArray[Any], made: NDArray[Any]) -> None:
    """Write a weight as it is."""
    for some in _parts(array):
        made[some] = array[some]


def _parts(array: NDArray[Any]) -> Iterator[slice]:
    step = max(1, _PART_BYTES // (array.itemsize * array.shape[1]))
    yield from (slice(start, start + step) for start in range(0, len(array), step))


def _quantized(data: NDArray[Any], kind: int, low: Any = None, high: Any = None) -> tuple[NDArray[Any], ...]:
    """Return zero point, scale and numbers of a part of a weight, as the quantizer makes them of one.

    Source: onnxruntime.quantization: int8 is symmetric, uint8 is not.
    """
    from onnx import TensorProto
    from onnxruntime.quantization.quant_utils import quantize_data

    symmetric = kind == TensorProto.INT8
    found: tuple[NDArray[Any], ...] = quantize_data(data, kind, symmetric, rmin_override=low, rmax_override=high)
    return found
