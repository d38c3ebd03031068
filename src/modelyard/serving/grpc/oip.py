"""The Open Inference Protocol v2 over gRPC: `inference.GRPCInferenceService`.

What a request says beside its values is read as the dict that it is over HTTP, so that both are checked by the same code.

Source: kserve/open-inference-protocol, specification/protocol/inference_grpc.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..answers import failure
from ..body import decode, is_small
from ..errors import RequestError
from ..messages import Response
from ..oip.describe import SERVER, check_model, datatype, extensions, metadata
from ..oip.inputs import by_name, check_headers, in_order
from ..oip.outputs import told
from ..oip.wanted import Wanted, read_wanted
from ..tensor_facts import BYTES
from ..tensors import TensorError, from_bytes, texts, to_bytes
from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..engine import Samples
    from ..limits import Limits
    from ..messages import Request
    from ..sequences import Step
    from ..served import Served
    from ..tensors import TensorSpec

_CONTENTS = {
    "bool": 1,
    **dict.fromkeys(("int8", "int16", "int32"), 2),
    "int64": 3,
    **dict.fromkeys(("uint8", "uint16", "uint32"), 4),
    "uint64": 5,
    "float32": 6,
    "float64": 7,
    "object": 8,
}
"""The field of a tensor's contents that holds the values of a dtype; float16 has none."""


class Inference:
    """Answers the methods of the service."""

    def __init__(self, model: Served, limits: Limits, is_ready: Callable[[], bool]) -> None:
        self._model, self._limits, self._is_ready = model, limits, is_ready
        self._methods: dict[str, Callable[[Request], Response | ModelInfer]] = {
            "ServerLive": lambda _request: Response(200, wire.whole(1, 1)),
            "ServerReady": lambda _request: Response(200, wire.whole(1, is_ready())),
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }

    def answer(self, method: str, request: Request) -> Response | ModelInfer:
        """Return the answer to a call, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered.
        """
        known = self._methods.get(method)
        if known is None:
            raise RequestError(405, f"unknown method {method!r}; served: {', '.join(self._methods)}")
        return known(request)

    def _infer(self, request: Request) -> ModelInfer:
        return ModelInfer(self._model, self._limits, request)

    def _model_ready(self, request: Request) -> Response:
        self._check_model(request)
        return Response(200, wire.whole(1, self._is_ready()))

    def _server_metadata(self, _request: Request) -> Response:
        known = b"".join(wire.text(3, name) for name in extensions(self._model))
        return Response(200, wire.text(1, SERVER) + wire.text(2, __version__) + known)

    def _model_metadata(self, request: Request) -> Response:
        self._check_model(request)
        said = metadata(self._model)
        parts = [wire.text(1, said["name"]), *(wire.text(2, one) for one in said["versions"])]
        parts += [wire.text(3, said["platform"]), *(wire.blob(4, _tensor(one)) for one in said["inputs"])]
        parts += [wire.blob(5, _tensor(one)) for one in said["outputs"]]
        return Response(200, b"".join(parts))

    def _check_model(self, request: Request) -> None:
        """Refuse another model or version than the one that is served."""
        message = wire.Message(decode(request, self._limits))
        check_model(self._model, message.text(1), message.text(2) or self._model.version)


def asked(message: wire.Message) -> tuple[str, str | None]:
    """Return the name and the version of the model that a request names, as far as it does."""
    return message.text(1), message.text(2) or None


class ModelInfer:
    """A request to infer."""

    def __init__(self, model: Served, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._request = model, limits, request
        self._wanted, self._raw = Wanted(), True

    @property
    def timeout_s(self) -> float | None:
        """How long the request may wait by its own word, in seconds, known once it is read; None: it does not say."""
        return self._wanted.timeout_s

    @property
    def step(self) -> Step | None:
        """Of which sequence the request is a step, known once it is read; None: of none."""
        return self._wanted.step

    def read(self) -> Samples:
        """Return the raw samples by input, each of shape `(N, *shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        message = wire.Message(decode(self._request, self._limits))
        check_model(self._model, message.text(1), message.text(2) or self._model.version)
        samples, self._raw = _samples(message, self._model)
        self._wanted = read_wanted(_beside(message), self._model)
        return samples

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        return Response(200, _answer(self._model, self._wanted, outputs, raw=self._raw))

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


def _samples(message: wire.Message, model: Served) -> tuple[Samples, bool]:
    """Return the samples of a request by input, and whether they came as bytes."""
    tensors, raws = [wire.Message(data) for data in message.every(5)], message.every(7)
    inputs = by_name([{"name": tensor.text(1), "tensor": tensor} for tensor in tensors], model)
    for said, tensor in zip(inputs.values(), tensors, strict=True):
        said |= {"datatype": tensor.text(2), "shape": tensor.whole_numbers(3)}
    shapes = check_headers(inputs, model)
    found = {}
    for number, (name, said) in enumerate(inputs.items()):
        contents, spec = said["tensor"].message(5), model.inputs[name]
        _check_one_form(spec, contents, len(raws), len(inputs))
        try:
            raw = from_bytes(raws[number], spec.dtype, shapes[name]) if raws else None
            found[name] = _from_contents(contents, shapes[name], spec) if raw is None else raw
        except (TensorError, RequestError) as exc:
            msg = f"input {spec.name!r}: {exc}"
            raise TensorError(msg) from exc
    return in_order(found, model), bool(raws)


def _check_one_form(spec: TensorSpec, contents: wire.Message | None, raws: int, inputs: int) -> None:
    """Refuse values that come in both forms, or bytes that are not one a tensor."""
    if not raws or (raws == inputs and contents is None):
        return
    both = "both 'contents' and 'raw_input_contents'"
    what = both if contents is not None else f"{raws} 'raw_input_contents'"
    of = "one of one" if inputs == 1 else f"{inputs}, one a tensor, or none"
    msg = f"input {spec.name!r} has {what}; give {of}"
    raise TensorError(msg)


def _from_contents(contents: wire.Message | None, shape: tuple[int, ...], spec: TensorSpec) -> NDArray[Any]:
    """Return the values in the field that is the dtype's, once they are counted."""
    if spec.dtype.name not in _CONTENTS:
        msg = f"'contents' has no field for {datatype(spec.dtype)}; send it in 'raw_input_contents'"
        raise TensorError(msg)
    expected, number = math.prod(shape), _CONTENTS[spec.dtype.name]
    if spec.is_text:
        found = [] if contents is None else contents.every(number)
        _check_count(len(found), expected, spec)
        return texts([bytes(one) for one in found]).reshape(shape)
    wide = f"f{spec.dtype.itemsize}" if spec.dtype.kind == "f" else "u"
    packed = memoryview(b"") if contents is None else contents.packed(number, wide)
    _check_count(wire.count(packed) if wide == "u" else len(packed) / spec.dtype.itemsize, expected, spec)
    if wide == "u":
        return wire.integers(packed, spec.dtype).reshape(shape)
    return np.frombuffer(packed, spec.dtype.newbyteorder("<")).reshape(shape).astype(spec.dtype, copy=False)


def _check_count(found: float, expected: int, spec: TensorSpec) -> None:
    if found != expected:
        msg = f"'contents' holds {found:g} values of {datatype(spec.dtype)}, expected {expected}"
        raise TensorError(msg)


def _beside(message: wire.Message) -> dict[str, Any]:
    """Return what a request says beside its tensors' values, as it is written in JSON."""
    outputs = [wire.Message(data) for data in message.every(6)]
    return {
        "id": message.text(3) or None,
        "parameters": _parameters(message, 4),
        "outputs": [{"name": one.text(1), "parameters": _parameters(one, 2)} for one in outputs],
    }


def _parameters(message: wire.Message, number: int) -> dict[str, Any]:
    """Return a map of parameters."""
    entries = [wire.Message(data) for data in message.every(number)]
    return {entry.text(1): _parameter(entry.message(2)) for entry in entries}


def _parameter(value: wire.Message | None) -> Any:
    """Return the one of its kinds that a parameter is."""
    if value is None:
        return None
    if (truth := value.whole(1)) is not None:
        return bool(truth)
    if (number := value.whole(2)) is not None:
        return wire.signed(number)
    if value.last(3) is not None:
        return value.text(3)
    return value.whole(5) if value.float64(4) is None else value.float64(4)


def _answer(model: Served, wanted: Wanted, outputs: Samples, *, raw: bool) -> bytes:
    said = [told(model, output, outputs[output.name]) for output in wanted.of(model)]
    raw = raw or any(array.dtype.name not in _CONTENTS for _, array in said)  # all of them in one way
    tensors = [_tensor(about) + (b"" if raw else wire.blob(5, _contents(array))) for about, array in said]
    fields = [wire.text(1, model.name), wire.text(2, model.version), wire.text(3, wanted.id or "")]
    fields += [wire.blob(5, one) for one in tensors]
    if raw:
        fields += [wire.blob(6, to_bytes(array)) for _, array in said]
    return b"".join(fields)


def _contents(array: NDArray[Any]) -> bytes:
    """Return values in the field that is their dtype's."""
    number = _CONTENTS[array.dtype.name]
    if array.dtype == BYTES:
        return b"".join([wire.blob(number, one) for one in array.ravel().tolist()])
    return wire.blob(number, to_bytes(array) if array.dtype.kind == "f" else wire.packed_integers(array))


def _tensor(said: dict[str, Any]) -> bytes:
    """Return a tensor's name, datatype and shape."""
    return wire.text(1, said["name"]) + wire.text(2, said["datatype"]) + wire.whole_numbers(3, said["shape"])
