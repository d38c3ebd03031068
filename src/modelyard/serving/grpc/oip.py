"""The Open Inference Protocol v2 over gRPC: `inference.GRPCInferenceService`.

What a request says beside its values is read as the dict that it is over HTTP, so that both are checked by the same code.

Source: kserve/open-inference-protocol, specification/protocol/inference_grpc.md.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__, oip
from ..answers import failure
from ..body import decode, is_small
from ..errors import RequestError
from ..messages import Response
from ..tensors import TensorError, from_bytes
from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..limits import Limits
    from ..messages import Request
    from ..oip import Wanted
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
}
"""The field of a tensor's contents that holds the values of a dtype."""
_FP32, _TEXTS = 6, 8


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
        extensions = b"".join(wire.text(3, name) for name in oip.EXTENSIONS)
        return Response(200, wire.text(1, oip.SERVER) + wire.text(2, __version__) + extensions)

    def _model_metadata(self, request: Request) -> Response:
        self._check_model(request)
        said = oip.metadata(self._model)
        parts = [wire.text(1, said["name"]), *(wire.text(2, one) for one in said["versions"])]
        parts += [wire.text(3, said["platform"]), *(wire.blob(4, _tensor(one)) for one in said["inputs"])]
        parts += [wire.blob(5, _tensor(one)) for one in said["outputs"]]
        return Response(200, b"".join(parts))

    def _check_model(self, request: Request) -> None:
        """Refuse another model or version than the one that is served."""
        message = wire.Message(decode(request, self._limits))
        oip.check_model(self._model, message.text(1), message.text(2) or self._model.version)


class ModelInfer:
    """A request to infer."""

    def __init__(self, model: Served, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._request = model, limits, request
        self._wanted, self._raw = oip.Wanted(), True

    @property
    def timeout_s(self) -> float | None:
        """How long the request may wait by its own word, in seconds, known once it is read; None: it does not say."""
        return self._wanted.timeout_s

    def read(self) -> NDArray[Any]:
        """Return the raw samples, shape `(N, *input_shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        message = wire.Message(decode(self._request, self._limits))
        oip.check_model(self._model, message.text(1), message.text(2) or self._model.version)
        samples, self._raw = _samples(message, self._model)
        self._wanted = oip.read_wanted(_beside(message), self._model)
        return samples

    def answer(self, probabilities: NDArray[np.float32]) -> Response:
        """Return the answer that carries `probabilities`, shape `(N, classes)`."""
        return Response(200, _answer(self._model, self._wanted, probabilities, raw=self._raw))

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


def _samples(message: wire.Message, model: Served) -> tuple[NDArray[Any], bool]:
    """Return the samples of a request, and whether they came as bytes."""
    inputs, raws, spec = message.every(5), message.every(7), model.input
    if len(inputs) != 1:
        msg = f"'inputs' must be a list of one tensor, {spec.name!r}"
        raise TensorError(msg)
    tensor = wire.Message(inputs[0])
    said = {"name": tensor.text(1), "datatype": tensor.text(2), "shape": tensor.whole_numbers(3)}
    shape = oip.check_header(said, model)
    contents = tensor.message(5)
    if len(raws) > 1 or (raws and contents is not None):
        what = "both 'contents' and 'raw_input_contents'" if contents else f"{len(raws)} 'raw_input_contents'"
        msg = f"input {spec.name!r} has {what}; give one of one"
        raise TensorError(msg)
    try:
        array = from_bytes(raws[0], spec.dtype, shape) if raws else _from_contents(contents, shape, spec)
    except (TensorError, RequestError) as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc
    return spec.check(array, model.max_batch), bool(raws)


def _from_contents(contents: wire.Message | None, shape: tuple[int, ...], spec: TensorSpec) -> NDArray[Any]:
    """Return the values in the field that is the dtype's, once they are counted."""
    wide = f"f{spec.dtype.itemsize}" if spec.dtype.kind == "f" else "u"
    packed = memoryview(b"") if contents is None else contents.packed(_CONTENTS[spec.dtype.name], wide)
    expected = math.prod(shape)
    found = wire.count(packed) if wide == "u" else len(packed) / spec.dtype.itemsize
    if found != expected:
        msg = f"'contents' holds {found:g} values of {oip.datatype(spec.dtype)}, expected {expected}"
        raise TensorError(msg)
    if wide == "u":
        return wire.integers(packed, spec.dtype).reshape(shape)
    return np.frombuffer(packed, spec.dtype.newbyteorder("<")).reshape(shape).astype(spec.dtype, copy=False)


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


def _answer(model: Served, wanted: Wanted, probabilities: NDArray[np.float32], *, raw: bool) -> bytes:
    head = wire.text(1, model.name) + wire.text(2, model.version) + wire.text(3, wanted.id or "")
    output = oip.tensor(model.output)
    if wanted.classes:
        best, names = oip.likeliest(model, wanted, probabilities)
        texts = [one.encode() for one in names]
        output |= {"datatype": "BYTES", "shape": list(best)}
        contents = b"".join(wire.blob(_TEXTS, one) for one in texts)
        data = b"".join(len(one).to_bytes(4, "little") + one for one in texts)
    else:
        output |= {"shape": list(probabilities.shape)}
        data = probabilities.astype("<f4", copy=False).tobytes()
        contents = b"" if raw else wire.blob(_FP32, data)
    if raw:
        return head + wire.blob(5, _tensor(output)) + wire.blob(6, data)
    return head + wire.blob(5, _tensor(output) + wire.blob(5, contents))


def _tensor(said: dict[str, Any]) -> bytes:
    """Return a tensor's name, datatype and shape."""
    return wire.text(1, said["name"]) + wire.text(2, said["datatype"]) + wire.whole_numbers(3, said["shape"])
