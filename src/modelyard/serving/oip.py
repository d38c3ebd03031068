"""The Open Inference Protocol v2 over HTTP: health, metadata, infer, and the binary tensor extension.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's
extension_binary_data.md.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__
from .answers import compressed, failure
from .body import decode, has_truth_values, is_small, parse_json
from .errors import RequestError
from .messages import Response, json_response
from .tensors import TensorError, TensorSpec, dense, from_bytes, nesting, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .limits import Limits
    from .messages import Request
    from .served import Served

SERVER = "modelyard"
EXTENSIONS = ("binary_tensor_data", "classification", "schedule_policy")
PLATFORMS = {"tflite": "litert_tflite", "onnx": "onnx_onnxv1"}
"""The protocol's name of a format, `<project>_<format>`; any other format stands for itself."""

HEADER_LENGTH = b"inference-header-content-length"
_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<what>/ready|/infer)?")


class OpenInference:
    """Answers what is below `/v2`."""

    def __init__(self, model: Served, limits: Limits, is_ready: Callable[[], bool]) -> None:
        self._model = model
        self._limits = limits
        self._is_ready = is_ready

    def answer(self, request: Request) -> Response | Infer:
        """Return the answer to `request`, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered.
        """
        path, get = request.path, request.method in ("GET", "HEAD")
        if match := _MODEL.fullmatch(path):
            return self._answer_model(request, match, get=get)
        answers = {"/v2": self._server, "/v2/health/live": self._live, "/v2/health/ready": self._ready}
        if path not in answers:
            raise RequestError(404, f"Not Found: {request.method} {path}")
        if not get:
            raise _not_allowed(request)
        return answers[path]()

    def _answer_model(self, request: Request, match: re.Match[str], *, get: bool) -> Response | Infer:
        infers = match["what"] == "/infer"
        if get == infers or (infers and request.method != "POST"):
            raise _not_allowed(request)
        check_model(self._model, match["name"], match["version"] or self._model.version)
        if infers:
            return Infer(self._model, self._limits, request)
        return self._model_ready() if match["what"] else json_response(metadata(self._model))

    def _server(self) -> Response:
        return json_response({"name": SERVER, "version": __version__, "extensions": EXTENSIONS})

    def _live(self) -> Response:
        return json_response({"live": True})

    def _ready(self) -> Response:
        ready = self._is_ready()
        return json_response({"ready": ready}, 200 if ready else 503)

    def _model_ready(self) -> Response:
        ready = self._is_ready()
        return json_response({"name": self._model.name, "ready": ready}, 200 if ready else 503)


def check_model(model: Served, name: str, version: str) -> None:
    """Refuse another model or version than the one that is served.

    Raises:
        RequestError: 404.
    """
    if name != model.name:
        raise RequestError(404, f"unknown model {name!r}; served: {model.name!r}")
    if version != model.version:
        raise RequestError(404, f"model {name!r} has no version {version!r}; served: {model.version!r}")


def _not_allowed(request: Request) -> RequestError:
    return RequestError(405, f"Method Not Allowed: {request.method} {request.path}")


class Infer:
    """A request to infer."""

    def __init__(self, model: Served, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._request = model, limits, request
        self._wanted = PLAINLY

    @property
    def timeout_s(self) -> float | None:
        """How long the request may wait by its own word, in seconds, known once it is read; None: it does not say."""
        return self._wanted.timeout_s

    def read(self) -> NDArray[Any]:
        """Return the raw samples, shape `(N, *input_shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        body = decode(self._request, self._limits)
        length = self._request.text(HEADER_LENGTH)
        samples, self._wanted = read_inference(body, length, self._model, self._limits)
        return samples

    def answer(self, probabilities: NDArray[np.float32]) -> Response:
        """Return the answer that carries `probabilities`, shape `(N, classes)`."""
        return compressed(_answer(self._model, self._wanted, probabilities), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


@dataclass(frozen=True)
class Wanted:
    """How the answer is wanted.

    Attributes:
        id: the request's, given back.
        binary: as bytes behind the JSON.
        classes: the names of so many classes, the likeliest first, in place of every probability; 0: all of these.
        timeout_s: how long the request may wait, in seconds; None: it does not say.
    """

    id: str | None = None
    binary: bool = False
    classes: int = 0
    timeout_s: float | None = None


PLAINLY = Wanted()


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v2/models/<name>`."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORMS.get(model.facts.format, model.facts.format),
        "inputs": [tensor(model.input)],
        "outputs": [tensor(model.output)],
        "parameters": {"class_names": list(model.facts.class_names), **model.identity},
    }


@functools.cache  # numpy's names cost a tenth of a whole request
def datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's name of `dtype`."""
    return {"float32": "FP32", "float64": "FP64"}.get(dtype.name, dtype.name.upper())


def read_inference(
    body: bytes | bytearray, header_length: str | None, model: Served, limits: Limits
) -> tuple[NDArray[Any], Wanted]:
    """Read a request's body: JSON, followed by binary tensors if `header_length` says where the JSON ends.

    Raises:
        TensorError: it is not a request that `model` can answer.
        RequestError: its values would take too much memory.
    """
    head, binary = _split(body, header_length)
    try:
        request = parse_json(head, limits)
    except ValueError as exc:
        msg = f"the request is not JSON: {exc}"
        raise TensorError(msg) from exc
    _object(request, "the request")
    literals = has_truth_values(head, _beside(request))
    return _samples(request, binary, model, literals=literals), read_wanted(request, model)


def read_document(request: dict[str, Any], model: Served, *, literals: bool) -> tuple[NDArray[Any], Wanted]:
    """Read a request that was parsed already; `literals` says whether `true` or `false` may stand among its values.

    Raises:
        TensorError: it is not a request that `model` can answer.
    """
    return _samples(request, memoryview(b""), model, literals=literals), read_wanted(request, model)


def _beside(request: dict[str, Any]) -> dict[str, Any]:
    """Return `request` without its tensor's data."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        return request
    return {**request, "inputs": {key: value for key, value in inputs[0].items() if key != "data"}}


def _split(body: bytes | bytearray, header_length: str | None) -> tuple[bytes | bytearray | memoryview, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isascii() or not header_length.isdigit() or int(header_length[:19]) > len(body):
        msg = f"Inference-Header-Content-Length: {header_length!r}; allowed: 0 to {len(body)}, the size of the body"
        raise TensorError(msg)
    view = memoryview(body)
    return view[: int(header_length)], view[int(header_length) :]


def _samples(request: dict[str, Any], binary: memoryview, model: Served, *, literals: bool) -> NDArray[Any]:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        msg = f"'inputs' must be a list of one tensor, {model.input.name!r}"
        raise TensorError(msg)
    tensor = _object(inputs[0], "an input")
    shape = check_header(tensor, model)
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if binary:
            msg = f"{len(binary)} bytes follow the JSON, but no input has 'binary_data_size'"
            raise TensorError(msg)
        array = _from_json(tensor, shape, model.input, literals=literals)
    else:
        array = _from_binary(tensor, shape, size, binary, model.input)
    return model.input.check(array, model.max_batch)


def check_header(tensor: dict[str, Any], model: Served) -> tuple[int, ...]:
    """Return the tensor's shape; its name, datatype and shape are checked before its data is looked at.

    Raises:
        TensorError: the model takes another.
    """
    spec = model.input
    if tensor.get("name") != spec.name:
        msg = f"unknown input {text(tensor.get('name'))}; model {model.name!r} takes {spec.name!r}"
        raise TensorError(msg)
    wanted = datatype(spec.dtype)
    if tensor.get("datatype") != wanted:
        msg = f"input {spec.name!r} has datatype {text(tensor.get('datatype'))}, expected {wanted!r}"
        raise TensorError(msg)
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 31 for size in shape):
        msg = f"input {spec.name!r}: 'shape' is {text(shape)}, expected a list of whole numbers"
        raise TensorError(msg)
    if tuple(shape[1:]) != spec.shape or len(shape) != len(spec.shape) + 1:
        msg = f"input {spec.name!r} has shape {shape}, expected {[-1, *spec.shape]}"
        raise TensorError(msg)
    if shape[0] > model.max_batch:
        msg = f"input {spec.name!r} holds {shape[0]} samples; at most {model.max_batch} are taken"
        raise TensorError(msg)
    return tuple(shape)


def _from_json(tensor: dict[str, Any], shape: tuple[int, ...], spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if not isinstance(tensor.get("data"), list):
        msg = f"input {spec.name!r}: 'data' must be a list, nested or flat"
        raise TensorError(msg)
    found = nesting(tensor["data"])
    if found not in (shape, (math.prod(shape),)):  # before anything is done once a value
        expected = f"{list(shape)}, or flat with {math.prod(shape)} values"
        msg = f"input {spec.name!r}: 'data' has shape {list(found)}, expected {expected}"
        raise TensorError(msg)
    try:
        return dense(tensor["data"], spec.dtype, has_literals=literals).reshape(shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc


def _from_binary(
    tensor: dict[str, Any], shape: tuple[int, ...], size: Any, binary: memoryview, spec: TensorSpec
) -> NDArray[Any]:
    if "data" in tensor:
        msg = f"input {spec.name!r} has both 'data' and 'binary_data_size'"
        raise TensorError(msg)
    if type(size) is not int or size != len(binary):
        msg = f"input {spec.name!r}: 'binary_data_size' is {text(size)}, but {len(binary)} bytes follow the JSON"
        raise TensorError(msg)
    try:
        return from_bytes(binary, spec.dtype, shape)
    except TensorError as exc:
        msg = f"input {spec.name!r}: {exc}"
        raise TensorError(msg) from exc


def _id(request: dict[str, Any]) -> str | None:
    value = request.get("id")
    if value is not None and not isinstance(value, str):
        msg = f"'id' is {text(value)}, expected text"
        raise TensorError(msg)
    return value


def read_wanted(request: dict[str, Any], model: Served) -> Wanted:
    """Return how the output is wanted; what is asked for is checked on the way.

    Raises:
        TensorError: it asks for what is not there.
    """
    name, parameters = _id(request), _parameters(request)
    for key in ("sequence_id", "sequence_start", "sequence_end"):
        if parameters.get(key):
            msg = f"{key!r} is {text(parameters[key])}, but this model keeps nothing from one request to the next"
            raise TensorError(msg)
    timeout_s = _timeout_s(parameters)
    default = _flag(parameters, "binary_data_output", default=False)
    outputs = request.get("outputs")
    if outputs is None or outputs == []:
        return Wanted(name, default, timeout_s=timeout_s)
    if not isinstance(outputs, list) or len(outputs) > 1:
        msg = f"'outputs' must be a list of one tensor, {model.output.name!r}"
        raise TensorError(msg)
    output = _object(outputs[0], "an output")
    if output.get("name") != model.output.name:
        msg = f"unknown output {text(output.get('name'))}; model {model.name!r} answers {model.output.name!r}"
        raise TensorError(msg)
    parameters = _parameters(output)
    return Wanted(name, _flag(parameters, "binary_data", default=default), _classes(parameters, model), timeout_s)


def _timeout_s(parameters: dict[str, Any]) -> float | None:
    """Return how long a request may wait, in seconds; that there is one priority only is checked on the way.

    Source: Triton, extension_schedule_policy.md: 0 is what the server does anyway, for both.
    """
    priority, timeout_us = parameters.get("priority", 0), parameters.get("timeout", 0)
    if type(priority) is not int or priority != 0:
        msg = f"'priority' is {text(priority)}, but requests wait in one line here; leave it out, or ask with 0"
        raise TensorError(msg)
    if type(timeout_us) is not int or not 0 <= timeout_us < 1 << 64:
        msg = f"'timeout' is {text(timeout_us)}, expected microseconds, a whole number"
        raise TensorError(msg)
    return timeout_us / 1e6 if timeout_us else None


def _classes(parameters: dict[str, Any], model: Served) -> int:
    """Return how many classes are asked for; Triton's extension "classification"."""
    count = parameters.get("classification", 0)
    if type(count) is not int or count < 0:
        msg = f"'classification' is {text(count)}, expected a whole number, 1 to {len(model.facts.class_names)}"
        raise TensorError(msg)
    return min(count, len(model.facts.class_names))


def _answer(model: Served, wanted: Wanted, probabilities: NDArray[np.float32]) -> Response:
    if wanted.binary:
        return _binary_answer(model, wanted, probabilities)
    if not wanted.classes and not np.isfinite(probabilities).all():
        msg = f"output {model.output.name!r} holds NaN, which JSON cannot carry; ask for it with 'binary_data'"
        raise TensorError(msg)
    return json_response(document(model, wanted, probabilities))


def document(model: Served, wanted: Wanted, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Return the answer that carries `probabilities`, shape `(N, classes)`, as a JSON value."""
    if not wanted.classes:
        values = {"shape": list(probabilities.shape), "data": np.ascontiguousarray(probabilities).ravel()}
    else:
        shape, texts = likeliest(model, wanted, probabilities)
        values = {"datatype": "BYTES", "shape": list(shape), "data": texts}
    return {**_named(model, wanted), "outputs": [{**tensor(model.output), **values}]}


def _named(model: Served, wanted: Wanted) -> dict[str, Any]:
    named = {"model_name": model.name, "model_version": model.version}
    return named if wanted.id is None else {**named, "id": wanted.id}


def likeliest(model: Served, wanted: Wanted, probabilities: NDArray[np.float32]) -> tuple[tuple[int, ...], list[str]]:
    """Return the likeliest classes as `value:index:name`, row-major, and before them their shape.

    Source: Triton, extension_classification.md.
    """
    names = model.facts.class_names
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : wanted.classes]
    data = [
        f"{row[one]:f}:{one}:{names[one]}"
        for row, ones in zip(probabilities, best.tolist(), strict=True)
        for one in ones
    ]
    return best.shape, data


def _binary_answer(model: Served, wanted: Wanted, probabilities: NDArray[np.float32]) -> Response:
    if not wanted.classes:
        told: dict[str, Any] = {"shape": list(probabilities.shape)}
        data = probabilities.astype("<f4").tobytes()
    else:
        shape, texts = likeliest(model, wanted, probabilities)
        told = {"datatype": "BYTES", "shape": list(shape)}
        data = b"".join(len(one).to_bytes(4, "little") + one for one in map(str.encode, texts))
    output = {**tensor(model.output), **told, "parameters": {"binary_data_size": len(data)}}
    head = json_response({**_named(model, wanted), "outputs": [output]}).body
    headers = ((HEADER_LENGTH, b"%d" % len(head)),)
    return Response(200, head + data, b"application/octet-stream", headers)


def tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return what metadata and answers say of a tensor."""
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": [-1, *spec.shape]}


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{what} is {text(value)}, expected an object"
        raise TensorError(msg)
    return value


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    parameters = value.get("parameters")
    return {} if parameters is None else _object(parameters, "'parameters'")


def _flag(parameters: dict[str, Any], key: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        msg = f"{key!r} is {text(value)}, expected true or false"
        raise TensorError(msg)
    return value
