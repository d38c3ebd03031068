"""Weights in a file of the format safetensors: tensors by name, and nothing that could run code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, PluginError, listing

if TYPE_CHECKING:
    from pathlib import Path

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_LENGTH = 8
"""The bytes that say how long the header is."""


def read_weights(path: Path) -> dict[str, Any]:
    """Return the tensors in `path` by name, mapped into memory and not to be written to.

    Source: safetensors, format: a length in 8 bytes, a header in JSON, and the tensors' bytes behind it.

    Raises:
        DataError: it is damaged, or of another format.
    """
    try:
        return _tensors(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError) as exc:
        msg = f"{path}: cannot be read as safetensors: {exc}\n  is it a whole file, with the suffix of another format?"
        raise DataError(msg) from exc


def _tensors(path: Path) -> dict[str, Any]:
    import numpy as np

    data = np.memmap(path, np.uint8, mode="c")
    start = _LENGTH + int.from_bytes(data[:_LENGTH].tobytes(), "little")
    if start > len(data):
        msg = f"its header ends at byte {start:,}, and the file at {len(data):,}"
        raise ValueError(msg)
    header = json.loads(data[_LENGTH:start].tobytes())
    return {name: _tensor(name, told, data[start:]) for name, told in header.items() if name != "__metadata__"}


def _tensor(name: str, told: dict[str, Any], data: Any) -> Any:
    import torch

    if told["dtype"] not in _DTYPES:
        msg = f"{name!r} holds {told['dtype']}; allowed: {', '.join(_DTYPES)}"
        raise ValueError(msg)
    dtype, (first, end) = getattr(torch, _DTYPES[told["dtype"]]), told["data_offsets"]
    if not 0 <= first <= end <= len(data):
        msg = f"{name!r} ends at byte {end:,} of {len(data):,}"
        raise ValueError(msg)
    raw = torch.from_numpy(data[first:end])
    return (raw.clone() if first % dtype.itemsize else raw).view(dtype).reshape(told["shape"])


def fill(module: Any, weights: dict[str, Any], path: Path, log: Any) -> None:
    """Give `module` the weights in `path`, by name; those that it has no use for are logged.

    Raises:
        PluginError: the file lacks one, or has it in another shape.
    """
    wanted = module.state_dict()
    lacking = [name for name in wanted if name not in weights and name in _kept(module)]
    if lacking:
        msg = (
            f"{path}: has no tensor for {listing(lacking[:5])}, of {len(lacking)} that {type(module).__name__} wants\n"
            f"  it has {listing(list(weights)[:5])} ...; let the builder's module call them as the file does"
        )
        raise PluginError(msg)
    unlike = [name for name, one in wanted.items() if name in weights and weights[name].shape != one.shape]
    if unlike:
        name = unlike[0]
        msg = (
            f"{path}: {name!r} has the shape {tuple(weights[name].shape)}, and in {type(module).__name__} "
            f"{tuple(wanted[name].shape)}\n  let the builder make a module of the file's sizes"
        )
        raise PluginError(msg)
    unused = [name for name in weights if name not in wanted]
    if unused:
        log(f"{len(unused)} tensors of the file are not used: {listing(unused[:5])}")
    module.load_state_dict({name: weights[name] for name in wanted if name in weights}, strict=False)


def _kept(module: Any) -> set[str]:
    """Return the names of what is learnt: parameters, and what is counted beside them, such as a batch normalization's means."""
    counters = {name for name, _ in module.named_buffers() if name.endswith("num_batches_tracked")}
    return {*module.state_dict()} - counters
