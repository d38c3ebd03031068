"""The data of an event: samples in, and how their answer is written.

JSON is that of `:predict` or of the Open Inference Protocol, and is answered in kind; bytes are raw samples, or one picture, sound or text.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ..body import parse_json
from ..errors import RequestError
from ..oip.inputs import read_inputs
from ..oip.outputs import json_document
from ..oip.wanted import read_wanted
from ..sample_body import SAMPLE_TYPES, is_sample
from ..tensors import TensorError, from_bytes, shape_text, text, texts
from ..tfserving.inputs import read_document
from ..tfserving.outputs import is_finite, written
from .event import NO_DOCUMENT, Event
from .structured import is_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import Samples
    from ..limits import Limits
    from ..served import Served

RAW = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an event asks.

    Attributes:
        samples: by input, each of shape `(N, *shape)`.
        write: returns the answer that carries outputs, by name, as a JSON value.
        timeout_s: how long the event may wait by its own word, in seconds; None: it does not say.
    """

    samples: Samples
    write: Callable[[Samples], dict[str, Any]]
    timeout_s: float | None = None

    def answer(self, outputs: Samples) -> bytes:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`, as JSON text.

        Raises:
            TensorError: they hold what JSON cannot carry.
        """
        if not all(map(is_finite, outputs.values())):
            msg = "the model's answer holds NaN or Infinity, which JSON cannot carry"
            raise TensorError(msg)
        return orjson.dumps(self.write(outputs), option=orjson.OPT_SERIALIZE_NUMPY)


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
    kind = media_type.partition(";")[0].strip().lower()
    if kind == RAW or (model.takes_bytes and is_sample(kind)):
        return Asked(model.check(_of_bytes(memoryview(event.data), model)), _rows)
    samples = f", {SAMPLE_TYPES}" if model.takes_bytes else ""
    raise RequestError(
        415, f"unsupported data of type {media_type[:100]!r}; supported: application/json, {RAW}{samples}"
    )


def _of_bytes(data: memoryview, model: Served) -> Samples:
    """Return what bytes alone can say: samples of one shape, one after the other, or one text."""
    spec = next(iter(model.inputs.values()))
    if model.takes_bytes:
        return {model.takes_bytes: texts([bytes(data)])}
    if len(model.inputs) > 1 or spec.is_text or not spec.is_fixed:
        names = ", ".join(f"{one.name!r} {shape_text(one.expected)}" for one in model.inputs.values())
        raise RequestError(415, f"data of type {RAW} cannot say what the model takes, {names}; send application/json")
    return {spec.name: from_bytes(data, spec.dtype, (-1, *spec.shape))}


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
        samples, wanted = read_inputs(document, model, literals=literals), read_wanted(document, model)
        if any(output.binary for output in wanted.of(model)):
            msg = "the answer is an event with JSON; leave 'binary_data' and 'binary_data_output' out"
            raise TensorError(msg)
        if wanted.step is not None:
            msg = "an event is a step of no sequence; let it hold the whole stream"
            raise TensorError(msg)
        return Asked(samples, lambda found: json_document(model, wanted, found), wanted.timeout_s)
    rows, samples = read_document(document, model, literals=literals)
    return Asked(samples, _rows if rows else _columns)


def _is_inference(document: dict[str, Any]) -> bool:
    """Return whether it is the Open Inference Protocol's: its `inputs` is a list of tensors, which are objects."""
    inputs = document.get("inputs")
    return isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict)


def _rows(outputs: Samples) -> dict[str, Any]:
    return written(outputs, rows=True)


def _columns(outputs: Samples) -> dict[str, Any]:
    return written(outputs, rows=False)
