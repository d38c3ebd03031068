"""Handler `tokenize`: texts to token ids, by Hugging Face's tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelyard import hookimpl
from modelyard.params import InputPath, PositiveInt

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")
_REQUIREMENTS = Path(__file__).with_name("tokenize-requirements.txt")


def tokenize(
    place: Place,
    *,
    tokenizer: InputPath,
    length: PositiveInt = 128,
    pad: bool = True,
    dtype: Literal["int32", "int64"] = "int64",
    text: str = "text",
    ids: str = "input_ids",
    mask: str = "attention_mask",
    types: str = "",
) -> Handler:
    """Turns texts into token ids: longer texts are cut, shorter ones padded, or left as long as they are.

    Args:
        place: where it stands.
        tokenizer: the file tokenizer.json
        length: how many ids a text becomes; at most, where none is padded
        pad: whether each text becomes as many ids; false: as many as it has, and the model's axis varies
        dtype: the type of the ids, as the model takes them
        text: what clients call a text
        ids: what the model calls the ids
        mask: what it calls the mask, 1 for each id of the text and 0 for those that pad it; empty: it takes none
        types: what it calls the types of the ids, 0 for all of one text; empty: it takes none
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.tokenize(
        place, tokenizer=tokenizer, length=length, pad=pad, dtype=dtype, text=text, ids=ids, mask=mask, types=types
    )


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register(
        "tokenize",
        tokenize,
        package=_PACKAGE,
        requirements=_REQUIREMENTS,
        tools=("tokenizers", "numpy"),
        deterministic=True,
    )
