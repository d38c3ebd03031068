"""The body of a request to infer: JSON, and the bytes behind it."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..body import has_truth_values, parse_json
from ..tensors import TensorError
from .inputs import NOTHING, read_data, read_told
from .objects import as_object
from .wanted import Wanted, read_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..engine import Samples
    from ..limits import Limits
    from ..served import Served
    from .inputs import Told

_KNOWN, _KNOWN_BYTES = 64, 1024
"""How many heads of bytes are remembered, and how long one of them may be."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the JSON of a request says.

    Attributes:
        inputs: what it tells of each input, in its order.
        wanted: how the answer is wanted.
        literals: whether `true` or `false` may stand among its values.
    """

    inputs: Mapping[str, Told]
    wanted: Wanted
    literals: bool


class Requests:
    """Reads requests for one model. Safe to share among threads.

    A client whose tensors are bytes writes the same JSON before them each time: what it says is read once.
    """

    def __init__(self, model: Served, limits: Limits) -> None:
        self._model, self._limits = model, limits
        self._known = lru_cache(_KNOWN)(self._read)

    def read(self, body: bytes | bytearray, head_bytes: str | None) -> tuple[Samples, Wanted]:
        """Read a body: JSON, followed by binary tensors if `head_bytes` says where the JSON ends.

        Raises:
            TensorError: it is not a request that the model can answer.
            RequestError: its values would take too much memory.
        """
        size = len(body) if head_bytes is None else _head_size(head_bytes, len(body))
        if size == len(body):
            asked, binary = self._read(body), NOTHING
        else:
            view = memoryview(body)
            head, binary = view[:size], view[size:]
            asked = self._known(bytes(head)) if size <= _KNOWN_BYTES else self._read(head)
        return read_data(asked.inputs, self._model, binary, literals=asked.literals), asked.wanted

    def _read(self, head: bytes | bytearray | memoryview) -> Asked:
        try:
            request = parse_json(head, self._limits)
        except ValueError as exc:
            msg = f"the request is not JSON: {exc}"
            raise TensorError(msg) from exc
        as_object(request, "the request")
        inputs = read_told(request.get("inputs"), self._model)
        literals = any(one.size is None for one in inputs.values()) and has_truth_values(head, lambda: _beside(request))
        return Asked(inputs, read_wanted(request, self._model), literals)


def _beside(request: dict[str, Any]) -> dict[str, Any]:
    """Return `request`, whose inputs are objects, without its tensors' data."""
    return {**request, "inputs": [{key: one[key] for key in one if key != "data"} for one in request["inputs"]]}


def _head_size(text: str, most: int) -> int:
    """Return how many bytes of a body of `most` are JSON.

    Raises:
        TensorError: `text` is no such number.
    """
    if not text.isascii() or not text.isdigit() or int(text[:19]) > most:
        msg = f"Inference-Header-Content-Length: {text!r}; allowed: 0 to {most}, the size of the body"
        raise TensorError(msg)
    return int(text)
