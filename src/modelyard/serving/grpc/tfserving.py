"""TF Serving's gRPC: `PredictionService` (Predict, GetModelMetadata) and `ModelService` (GetModelStatus).

Source: tensorflow_serving/apis/*.proto; tensorflow/core/framework/tensor.proto, types.proto and tensor.cc for how a tensor
is written, and what fewer values than its shape has mean.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..answers import failure
from ..body import decode, is_small
from ..errors import RequestError
from ..messages import Response
from ..oip.inputs import in_order
from ..served import Sizes
from ..tensor_facts import BYTES
from ..tensors import TYPE_NAMES, TensorError, from_bytes, texts, to_bytes
from ..tfserving.describe import METHOD, SIGNATURE
from ..tfserving.http import Target
from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from ..engine import Samples
    from ..limits import Limits
    from ..messages import Request
    from ..served import Served
    from ..tensors import TensorSpec

_TYPES = {
    "float32": (1, 5),
    "float64": (2, 6),
    "int32": (3, 7),
    "uint8": (4, 7),
    "int16": (5, 7),
    "int8": (6, 7),
    "int64": (9, 10),
    "bool": (10, 11),
    "uint16": (17, 7),
    "uint32": (22, 16),
    "uint64": (23, 17),
    "float16": (19, 13),
    "object": (7, 8),
}
"""The number of a dtype, and the field of a tensor that holds its values."""
T = TypeVar("T")
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4
_AVAILABLE = 30
_SIGNATURES = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


class Prediction:
    """Answers the methods of `tensorflow.serving.PredictionService`."""

    def __init__(self, model: Served, limits: Limits) -> None:
        self._model, self._limits = model, limits

    def answer(self, method: str, request: Request) -> Response | Predict:
        """Return the answer to a call, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered.
        """
        if method == "Predict":
            return Predict(self._model, self._limits, request)
        if method == "GetModelMetadata":
            return self._metadata(wire.Message(decode(request, self._limits)))
        raise RequestError(405, f"unknown method {method!r}; served: Predict, GetModelMetadata")

    def _metadata(self, message: wire.Message) -> Response:
        _target(self._model, message).check_servable()
        fields = [str(data, "utf-8", "replace") for data in message.every(2)]
        if not fields:
            raise RequestError(400, "GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := [name for name in fields if name != "signature_def"]:
            raise RequestError(400, f"Metadata field {unknown[0]} is not supported")
        said = _entry(1, SIGNATURE, _signature(self._model))
        value = _entry(2, "signature_def", wire.text(1, _SIGNATURES) + wire.blob(2, said))
        return Response(200, wire.blob(1, _spec(self._model)) + value)


class ModelStatus:
    """Answers the methods of `tensorflow.serving.ModelService`."""

    def __init__(self, model: Served, limits: Limits) -> None:
        self._model, self._limits = model, limits

    def answer(self, method: str, request: Request) -> Response:
        """Return the answer to a call.

        Raises:
            RequestError: it cannot be answered.
        """
        if method != "GetModelStatus":
            raise RequestError(405, f"unknown method {method!r}; served: GetModelStatus")
        target = _target(self._model, wire.Message(decode(request, self._limits)))
        target.check_known()
        own = self._model.version
        versions = (self._model.versions or (own,)) if target.match["version"] is None else (own,)
        said = [wire.whole(1, one) for one in sorted(map(int, versions), reverse=True)]
        return Response(
            200, b"".join(wire.blob(1, one + wire.whole(2, _AVAILABLE) + wire.blob(3, b"")) for one in said)
        )


class Predict:
    """A request to predict."""

    timeout_s: float | None = None

    def __init__(self, model: Served, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._request = model, limits, request
        self._wanted: list[str] = []

    def read(self) -> Samples:
        """Return the raw samples by input, each of shape `(N, *shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        message, model = wire.Message(decode(self._request, self._limits)), self._model
        _target(model, message).check_servable()
        signature = (message.message(1) or wire.Message(b"")).text(3)
        if signature not in ("", SIGNATURE):
            raise RequestError(400, f'Serving signature name: "{signature}" not found in signature def')
        self._wanted = [str(data, "utf-8", "replace") for data in message.every(3)]
        for name in self._wanted:
            if name not in model.outputs:
                expected = f"Outputs expected to be in the set {{{','.join(model.outputs)}}}."
                raise RequestError(400, f"output tensor alias not found in signature: {name} {expected}")
        return in_order(_inputs(message, model), model)

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        wanted = dict.fromkeys(self._wanted or outputs)
        entries = [_entry(1, name, _tensor(outputs[name])) for name in wanted]
        return Response(200, b"".join(entries) + wire.blob(2, _spec(self._model)))

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


def asked(message: wire.Message) -> tuple[str, str | None]:
    """Return the name and the version of the model that a request names, as far as it does."""
    spec = message.message(1) or wire.Message(b"")
    version = spec.message(2)
    return spec.text(1), None if version is None else str(wire.signed(version.whole(1) or 0))


def _target(model: Served, message: wire.Message) -> Target:
    """Return which model, version or label a request names.

    Raises:
        RequestError: it names none.
    """
    spec = message.message(1)
    if spec is None or not (name := spec.text(1)):
        raise RequestError(400, "Missing ModelSpec")
    _, number = asked(message)
    return Target(model, {"name": name, "version": number, "label": spec.text(4) or None})


def _inputs(message: wire.Message, model: Served) -> dict[str, NDArray[Any]]:
    """Return the inputs' values, by name."""
    entries = [wire.Message(data) for data in message.every(2)]
    tensors = {
        entry.text(1): entry.message(2) or wire.Message(b"") for entry in entries
    }  # of a key twice, the last counts
    if tensors.keys() != model.inputs.keys():
        raise RequestError(400, f"input size does not match signature: {_unlike(tensors.keys(), model.inputs.keys())}")
    sizes = Sizes(model)
    shapes = {name: _in_words(_shape, name, tensors[name], spec, model) for name, spec in model.inputs.items()}
    for name, spec in model.inputs.items():
        sizes.note(spec, shapes[name])
    sizes.check_bytes()
    return {name: _in_words(_values, name, tensors[name], shapes[name], spec) for name, spec in model.inputs.items()}


def _unlike(sent: AbstractSet[str], known: AbstractSet[str]) -> str:
    names = [",".join(sorted(one)) for one in (sent, known, sent - known, known - sent)]
    counts = f"{len(sent)}!={len(known)} len({{{names[0]}}}) != len({{{names[1]}}})"
    return f"{counts}. Sent extra: {{{names[2]}}}. Missing but required: {{{names[3]}}}."


def _in_words(function: Callable[..., T], name: str, *arguments: Any) -> T:
    """Call `function`; what it refuses names the input."""
    try:
        return function(*arguments)
    except (TensorError, RequestError) as exc:
        msg = f"input {name!r}: {exc}"
        raise TensorError(msg) from exc


def _shape(tensor: wire.Message, spec: TensorSpec, model: Served) -> tuple[int, ...]:
    """Return a tensor's shape, checked like its dtype before its values are looked at."""
    number = _TYPES[spec.dtype.name][0]
    if (found := tensor.whole(_DTYPE) or 0) != number:
        msg = f"dtype is {found}, expected {number} ({TYPE_NAMES['object'] if spec.is_text else spec.dtype.name})"
        raise TensorError(msg)
    said = tensor.message(_SHAPE) or wire.Message(b"")
    dims = said.every(2)
    if len(dims) != len(spec.dims):
        msg = f"its shape has {len(dims)} dimensions, expected {spec.dims}"
        raise TensorError(msg)
    shape = tuple(wire.signed(wire.Message(dim).whole(1) or 0) for dim in dims)
    if (spec.is_fixed and shape[1:] != spec.shape) or min(shape) < 0:
        msg = f"has shape {list(shape)}, expected {spec.dims}"
        raise TensorError(msg)
    if shape[0] > model.max_batch:
        msg = f"holds {shape[0]} samples; at most {model.max_batch} are taken"
        raise TensorError(msg)
    return shape


def _values(tensor: wire.Message, shape: tuple[int, ...], spec: TensorSpec) -> NDArray[Any]:
    """Return a tensor's values: bytes, or what is counted first, and of which the last goes on to the end."""
    content, field, expected = tensor.last(_CONTENT), _TYPES[spec.dtype.name][1], math.prod(shape)
    if spec.is_text:
        return _filled(texts([bytes(one) for one in tensor.every(field)]), expected, spec).reshape(shape)
    if content is not None and len(content):
        return from_bytes(content, spec.dtype, shape)
    floats = spec.dtype.kind == "f" and spec.dtype.itemsize > 2  # a half is written as the whole number of its bits
    packed = tensor.packed(field, f"f{spec.dtype.itemsize}" if floats else "u")
    found = len(packed) // spec.dtype.itemsize if floats else wire.count(packed)
    if found > expected or (floats and len(packed) % spec.dtype.itemsize):
        raise TensorError(_too_many(found, expected, spec))
    if floats:
        values = np.frombuffer(packed, spec.dtype.newbyteorder("<"))
    elif spec.dtype.kind == "f":
        values = wire.integers(packed, np.dtype(np.uint16)).view(np.float16)
    else:
        values = wire.integers(packed, spec.dtype)
    return _filled(values, expected, spec).reshape(shape).astype(spec.dtype, copy=False)


def _filled(values: NDArray[Any], expected: int, spec: TensorSpec) -> NDArray[Any]:
    """Return `values`, of which the last goes on to the end; of none it is 0, or an empty text."""
    if len(values) > expected:
        raise TensorError(_too_many(len(values), expected, spec))
    if len(values) == expected:
        return values
    last = values[-1] if len(values) else b"" if spec.is_text else 0
    return np.concatenate([values, np.full(expected - len(values), last, spec.dtype)])


def _too_many(found: int, expected: int, spec: TensorSpec) -> str:
    return f"holds {found} values of {TYPE_NAMES['object'] if spec.is_text else spec.dtype.name}, expected {expected}"


def _tensor(values: NDArray[Any]) -> bytes:
    """Return an array as TF Serving writes it, in the field that is its dtype's."""
    number, field = _TYPES[values.dtype.name]
    if values.dtype == BYTES:
        data = b"".join([wire.blob(field, one) for one in values.ravel().tolist()])
    elif values.dtype == np.float16:
        data = wire.blob(field, wire.packed_integers(np.ascontiguousarray(values).view(np.uint16)))
    else:
        data = wire.blob(field, to_bytes(values) if values.dtype.kind == "f" else wire.packed_integers(values))
    return wire.whole(_DTYPE, number) + wire.blob(_SHAPE, _dims(values.shape)) + data


def _dims(shape: Iterable[int]) -> bytes:
    return b"".join(wire.blob(2, wire.whole(1, size)) for size in shape)


def _spec(model: Served) -> bytes:
    version = wire.blob(2, wire.whole(1, int(model.version)))
    return wire.text(1, model.name) + version + wire.text(3, SIGNATURE)


def _signature(model: Served) -> bytes:
    entries = [_entry(1, name, _info(spec)) for name, spec in model.inputs.items()]
    entries += [_entry(2, name, _info(spec)) for name, spec in model.outputs.items()]
    return b"".join(entries) + wire.text(3, METHOD)


def _info(spec: TensorSpec) -> bytes:
    number = _TYPES[spec.dtype.name][0]
    return wire.text(1, f"{spec.name}:0") + wire.whole(2, number) + wire.blob(3, _dims(spec.dims))


def _entry(number: int, key: str, value: bytes) -> bytes:
    """Return one entry of a map."""
    return wire.blob(number, wire.text(1, key) + wire.blob(2, value))
