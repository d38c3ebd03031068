"""TF Serving's gRPC: `PredictionService` (Predict, GetModelMetadata) and `ModelService` (GetModelStatus).

Source: tensorflow_serving/apis/*.proto; tensorflow/core/framework/tensor.proto, types.proto and tensor.cc for how a tensor
is written, and what fewer values than its shape has mean.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tfserving
from ..answers import failure
from ..body import decode, is_small
from ..errors import RequestError
from ..messages import Response
from ..tensors import TensorError, from_bytes
from ..tfserving import SIGNATURE, Target
from . import wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
}
"""The number of a dtype, and the field of a tensor that holds its values."""
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
        _target(self._model, wire.Message(decode(request, self._limits))).check_known()
        status = wire.whole(1, int(self._model.version)) + wire.whole(2, _AVAILABLE) + wire.blob(3, b"")
        return Response(200, wire.blob(1, status))


class Predict:
    """A request to predict."""

    timeout_s: float | None = None

    def __init__(self, model: Served, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._request = model, limits, request

    def read(self) -> NDArray[Any]:
        """Return the raw samples, shape `(N, *input_shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        message, model = wire.Message(decode(self._request, self._limits)), self._model
        _target(model, message).check_servable()
        signature = (message.message(1) or wire.Message(b"")).text(3)
        if signature not in ("", SIGNATURE):
            raise RequestError(400, f'Serving signature name: "{signature}" not found in signature def')
        for data in message.every(3):
            if (name := str(data, "utf-8", "replace")) != model.output.name:
                expected = f"Outputs expected to be in the set {{{model.output.name}}}."
                raise RequestError(400, f"output tensor alias not found in signature: {name} {expected}")
        return model.input.check(_input(message, model), model.max_batch)

    def answer(self, probabilities: NDArray[np.float32]) -> Response:
        """Return the answer that carries `probabilities`, shape `(N, classes)`."""
        output = _entry(1, self._model.output.name, _tensor(probabilities))
        return Response(200, output + wire.blob(2, _spec(self._model)))

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


def _target(model: Served, message: wire.Message) -> Target:
    """Return which model, version or label a request names.

    Raises:
        RequestError: it names none.
    """
    spec = message.message(1)
    if spec is None or not (name := spec.text(1)):
        raise RequestError(400, "Missing ModelSpec")
    version = spec.message(2)
    number = None if version is None else str(wire.signed(version.whole(1) or 0))
    return Target(model, {"name": name, "version": number, "label": spec.text(4) or None})


def _input(message: wire.Message, model: Served) -> NDArray[Any]:
    """Return the one input's values."""
    entries = [wire.Message(data) for data in message.every(2)]
    names, spec = {entry.text(1) for entry in entries}, model.input
    if names != {spec.name}:
        sent, known = ",".join(sorted(names)), f"len({{{spec.name}}})"
        extra = ",".join(sorted(names - {spec.name}))
        missing = "" if spec.name in names else spec.name
        wrong = (
            f"{len(names)}!=1 len({{{sent}}}) != {known}. Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
        raise RequestError(400, f"input size does not match signature: {wrong}")
    tensor = entries[-1].message(2) or wire.Message(b"")
    try:
        return _values(tensor, _shape(tensor, spec, model.max_batch), spec)
    except (TensorError, RequestError) as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc


def _shape(tensor: wire.Message, spec: TensorSpec, max_batch: int) -> tuple[int, ...]:
    """Return a tensor's shape, checked like its dtype before its values are looked at."""
    number = _TYPES[spec.dtype.name][0]
    if (found := tensor.whole(_DTYPE) or 0) != number:
        msg = f"dtype is {found}, expected {number} ({spec.dtype.name})"
        raise TensorError(msg)
    said = tensor.message(_SHAPE) or wire.Message(b"")
    dims = said.every(2)
    if len(dims) != len(spec.shape) + 1:
        msg = f"its shape has {len(dims)} dimensions, expected {[-1, *spec.shape]}"
        raise TensorError(msg)
    shape = tuple(wire.signed(wire.Message(dim).whole(1) or 0) for dim in dims)
    if shape[1:] != spec.shape or shape[0] < 0:
        msg = f"has shape {list(shape)}, expected {[-1, *spec.shape]}"
        raise TensorError(msg)
    if shape[0] > max_batch:
        msg = f"holds {shape[0]} samples; at most {max_batch} are taken"
        raise TensorError(msg)
    return shape


def _values(tensor: wire.Message, shape: tuple[int, ...], spec: TensorSpec) -> NDArray[Any]:
    """Return a tensor's values: bytes, or numbers that are counted first, of which the last goes on to the end."""
    if (content := tensor.last(_CONTENT)) is not None and len(content):
        return from_bytes(content, spec.dtype, shape)
    floats = spec.dtype.kind == "f"
    packed = tensor.packed(_TYPES[spec.dtype.name][1], f"f{spec.dtype.itemsize}" if floats else "u")
    expected = math.prod(shape)
    found = len(packed) // spec.dtype.itemsize if floats else wire.count(packed)
    if found > expected or (floats and len(packed) % spec.dtype.itemsize):
        msg = f"holds {found} values of {spec.dtype.name}, expected {expected}"
        raise TensorError(msg)
    values = np.frombuffer(packed, spec.dtype.newbyteorder("<")) if floats else wire.integers(packed, spec.dtype)
    if found < expected:
        last = values[-1] if found else 0
        values = np.concatenate([values, np.full(expected - found, last, spec.dtype)])
    return values.reshape(shape).astype(spec.dtype, copy=False)


def _tensor(values: NDArray[np.float32]) -> bytes:
    """Return float32 as TF Serving writes them, in `float_val`."""
    number, field = _TYPES["float32"]
    data = values.astype("<f4", copy=False).tobytes()
    return wire.whole(_DTYPE, number) + wire.blob(_SHAPE, _dims(values.shape)) + wire.blob(field, data)


def _dims(shape: tuple[int, ...]) -> bytes:
    return b"".join(wire.blob(2, wire.whole(1, size)) for size in shape)


def _spec(model: Served) -> bytes:
    version = wire.blob(2, wire.whole(1, int(model.version)))
    return wire.text(1, model.name) + version + wire.text(3, SIGNATURE)


def _signature(model: Served) -> bytes:
    inputs = _entry(1, model.input.name, _info(model.input))
    outputs = _entry(2, model.output.name, _info(model.output))
    return inputs + outputs + wire.text(3, tfserving.METHOD)


def _info(spec: TensorSpec) -> bytes:
    number = _TYPES[spec.dtype.name][0]
    return wire.text(1, f"{spec.name}:0") + wire.whole(2, number) + wire.blob(3, _dims((-1, *spec.shape)))


def _entry(number: int, key: str, value: bytes) -> bytes:
    """Return one entry of a map."""
    return wire.blob(number, wire.text(1, key) + wire.blob(2, value))
