"""The data of an event: samples in, and how their answer is written.

JSON is that of `:predict` or of the Open Inference Protocol, and is answered in kind; bytes are raw samples.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from .. import oip, tfserving
from ..body import parse_json
from ..errors import RequestError
from ..tensors import TensorError, from_bytes, text
from .event import NO_DOCUMENT, Event
from .structured import is_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..limits import Limits
    from ..served import Served

RAW = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an event asks.

    Attributes:
        samples: shape `(N, *input_shape)`.
        write: returns the answer that carries probabilities, shape `(N, classes)`, as a JSON value.
        timeout_s: how long the event may wait by its own word, in seconds; None: it does not say.
    """

    samples: NDArray[Any]
    write: Callable[[NDArray[np.float32]], dict[str, Any]]
    timeout_s: float | None = None

    def answer(self, probabilities: NDArray[np.float32]) -> bytes:
        """Return the answer that carries `probabilities`, shape `(N, classes)`, as JSON text.

        Raises:
            TensorError: they hold what JSON cannot carry.
        """
        if not np.isfinite(probabilities).all():
            msg = "the model's answer holds NaN or Infinity, which JSON cannot carry"
            raise TensorError(msg)
        return orjson.dumps(self.write(np.ascontiguousarray(probabilities)), option=orjson.OPT_SERIALIZE_NUMPY)


def read(event: Event, model: Served, limits: Limits) -> Asked:
    """Return what `event` asks `model`.

    Raises:
        RequestError, TensorError: it asks nothing that the model can answer.
    """
    media_type = event.get("datacontenttype") or ""
    if event.document is not NO_DOCUMENT:
        return _of_document(event.document, model, literals=True)
    if event.data is None:
        raise RequestError(400, "the event has no data; samples are expected")
    if is_json(media_type):
        return _of_json(event.data, model, limits)
    if media_type.partition(";")[0].strip().lower() == RAW:
        spec = model.input
        samples = from_bytes(memoryview(event.data), spec.dtype, (-1, *spec.shape))
        return Asked(spec.check(samples, model.max_batch), _rows)
    raise RequestError(415, f"unsupported data of type {media_type[:100]!r}; supported: application/json, {RAW}")


def _of_json(data: bytes | bytearray | memoryview, model: Served, limits: Limits) -> Asked:
    try:
        document = parse_json(data, limits, literals=True)
    except ValueError as exc:
        msg = f"the event's data is not JSON: {exc}"
        raise TensorError(msg) from exc
    plain = bytes(data)
    return _of_document(document, model, literals=b"true" in plain or b"false" in plain or b"\\" in plain)


def _of_document(document: Any, model: Served, *, literals: bool) -> Asked:
    if not isinstance(document, dict):
        msg = f"the event's data is {text(document)}, expected an object with 'instances' or 'inputs'"
        raise TensorError(msg)
    if _is_inference(document):
        samples, wanted = oip.read_document(document, model, literals=literals)
        if wanted.binary:
            msg = "the answer is an event with JSON; leave 'binary_data' and 'binary_data_output' out"
            raise TensorError(msg)
        return Asked(samples, lambda found: oip.document(model, wanted, found), wanted.timeout_s)
    rows, array = tfserving.read_document(document, model, literals=literals)
    return Asked(model.input.check(array, model.max_batch), _rows if rows else _columns)


def _is_inference(document: dict[str, Any]) -> bool:
    """Return whether it is the Open Inference Protocol's: its `inputs` is a list of tensors, which are objects."""
    inputs = document.get("inputs")
    return isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict)


def _rows(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    return {"predictions": probabilities}


def _columns(probabilities: NDArray[np.float32]) -> dict[str, Any]:
    return {"outputs": probabilities}
