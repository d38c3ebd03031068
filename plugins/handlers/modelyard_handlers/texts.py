"""Texts to token ids."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from modelyard.serving.handlers import Handler, Place, Tensors


def tokenize(
    place: Place, *, tokenizer: str, length: int, pad: bool, dtype: str, text: str, ids: str, mask: str, types: str
) -> Handler:
    """Return what turns texts into token ids: longer texts are cut, shorter ones padded, or left as long as they are.

    Args:
        place: where it stands.
        tokenizer: the file `tokenizer.json` of Hugging Face's tokenizers.
        length: how many ids a text becomes, at most.
        pad: whether a shorter one is padded to as many.
        dtype: the type of what it gives, `int32` or `int64`.
        text: what the tensor that it takes is called.
        ids: what the ids are called that it gives.
        mask: what the mask is called, 1 for each id of the text and 0 for those that pad it; empty: it gives none.
        types: what the types of the ids are called, 0 for all of one text; empty: it gives none.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the server's threads are counted
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(tokenizer))
    known.enable_truncation(max_length=length)
    pad_id = _padding(known, length if pad else None)
    columns = {name: part for name, part in ((ids, "ids"), (mask, "attention_mask"), (types, "type_ids")) if name}

    def run(tensors: Tensors) -> dict[str, Any]:
        found = known.encode_batch([_decoded(one) for one in tensors[text]])
        if not all(found):
            msg = "the text has no token"
            raise ValueError(msg)
        return {name: [np.asarray(getattr(one, part), dtype) for one in found] for name, part in columns.items()}

    axis = length if pad else "tokens"
    gives = [place.tensor(name, dtype, (axis,), pad=pad_id if name == ids else 0) for name in columns]
    return place.handler(run, [place.tensor(text, "bytes")], gives, cacheable=True)


def _padding(known: Tokenizer, length: int | None) -> int:
    """Have texts padded to `length` ids, or not at all, and return the id that pads."""
    padding = known.padding or {}
    pad = padding.get("pad_token") or next(
        (one for one in ("[PAD]", "<pad>") if known.token_to_id(one) is not None), "[PAD]"
    )
    pad_id = known.token_to_id(pad) or 0
    if length is None:
        known.no_padding()
    else:
        known.enable_padding(length=length, pad_token=pad, pad_id=pad_id)
    return int(pad_id)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        msg = f"not a text in UTF-8: byte {exc.start} cannot be read"
        raise ValueError(msg) from exc
