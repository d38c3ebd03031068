"""A request whose body is the sample itself, a picture, a sound or a text, as its content type says; not a document around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tensors import texts

if TYPE_CHECKING:
    from .engine import Samples
    from .messages import Request
    from .served import Served

SAMPLE_TYPES = "image/..., audio/..., text/plain"
_KINDS = tuple(kind.removesuffix("...") for kind in SAMPLE_TYPES.split(", "))
_BYTES = "application/octet-stream"
_HEADER_LENGTH = b"inference-header-content-length"


def sample_of(request: Request, data: bytes | bytearray, model: Served) -> Samples | None:
    """Return the sample that the body `data` of `request` is; None: it is a document, or the model takes something else."""
    if model.takes_bytes is None:
        return None
    kind = (request.text(b"content-type") or "").partition(";")[0].strip().lower()
    if is_sample(kind) or (kind == _BYTES and _HEADER_LENGTH not in request.headers):
        return {model.takes_bytes: texts([bytes(data)])}
    return None


def is_sample(media_type: str) -> bool:
    """Return whether data of this type, in lower case and without parameters, is a picture, a sound or a text."""
    return media_type.startswith(_KINDS)
