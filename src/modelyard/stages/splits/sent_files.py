"""What clients send, written beside what the handlers make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import sent_file
from modelyard.files.columns import write_texts
from modelyard.files.ragged import is_ragged
from modelyard.files.ragged_files import write_ragged
from modelyard.stages.splits.texts import Texts
from modelyard.tensors import InputFacts

if TYPE_CHECKING:
    from modelyard.serving.handler_tensor import Tensor
    from modelyard.serving.handlers import Chain
    from modelyard.stages.splits.sent import Sent

_BLOCK_BYTES = 8 << 20


def write_sent(
    sent: Sent, out: Path, inputs: Sequence[InputFacts], chain: Chain, split: str = "test"
) -> tuple[InputFacts, ...]:
    """Write what clients send to the folder `out`, and return what is known of it.

    Args:
        sent: the test split.
        out: a folder that exists.
        inputs: what is known of the inputs of the model.
        chain: the handlers.
        split: which one it is.
    """
    own, wanted = {one.name: one for one in inputs}, chain.inputs()
    known = tuple(_known(name, column, wanted.get(name), own) for name, column in sent.columns.items())
    for one in known:
        _write(sent.columns[one.name], out, sent_file(split, one.name), one.dtype)
    return known


def _write(column: Any, out: Path, name: str, dtype: str) -> None:
    import numpy as np

    if isinstance(column, Texts):
        for _ in write_texts(out, name, column.blocks()):
            pass
    elif is_ragged(column):
        kept = np.dtype(dtype)
        blocks = (one._replace(values=one.values.astype(kept, copy=False)) for one in column.blocks(_BLOCK_BYTES))
        for _ in write_ragged(out, name, kept, column.shape[2:], blocks):
            pass
    else:
        np.save(out / f"{name}.npy", np.asarray(column[:]))


def _known(name: str, column: Any, tensor: Tensor | None, own: Mapping[str, InputFacts]) -> InputFacts:
    pad = float(column.pad) if is_ragged(column) else None
    if tensor is not None:
        shape = column.shape[1:] if isinstance(column, Texts) and column.ndim > 1 else tensor.shape
        return InputFacts(name=name, dtype=tensor.dtype, shape=shape, pad=pad)
    one = own[name]
    return InputFacts(name=name, dtype=one.dtype, shape=one.shape, value_range=one.value_range, pad=pad)
