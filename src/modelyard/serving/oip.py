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
from .model import BYTES
from .served import Sizes
from .tensors import TensorError, TensorSpec, dense, from_bytes, nesting, text, texts, to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from .engine import Samples
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

    def read(self) -> Samples:
        """Return the raw samples by input, each of shape `(N, *shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        body = decode(self._request, self._limits)
        length = self._request.text(HEADER_LENGTH)
        samples, self._wanted = read_inference(body, length, self._model, self._limits)
        return samples

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        return compressed(_answer(self._model, self._wanted, outputs), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


@dataclass(frozen=True)
class Output:
    """How one output is wanted.

    Attributes:
        name: which.
        binary: as bytes behind the JSON.
        classes: the names of so many classes, the likeliest first, in place of every number; 0: all of these.
    """

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True)
class Wanted:
    """How the answer is wanted.

    Attributes:
        id: the request's, given back.
        binary: what is not asked for by itself, as bytes behind the JSON.
        outputs: those that are wanted, in this order; none: all of them.
        timeout_s: how long the request may wait, in seconds; None: it does not say.
    """

    id: str | None = None
    binary: bool = False
    outputs: tuple[Output, ...] = ()
    timeout_s: float | None = None

    def of(self, model: Served) -> tuple[Output, ...]:
        """Return the outputs that are wanted of `model`."""
        return self.outputs or _all_of(tuple(model.outputs), self.binary)


@functools.cache
def _all_of(names: tuple[str, ...], binary: bool) -> tuple[Output, ...]:
    return tuple(Output(name, binary) for name in names)


PLAINLY = Wanted()


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v2/models/<name>`."""
    labels = model.labels
    said: dict[str, Any] = {"labels": labels} if len(model.outputs) > 1 else {}
    if len(model.outputs) == 1:
        said = {"class_names": list(next(iter(labels.values()), ()))}
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORMS.get(model.facts.format, model.facts.format),
        "inputs": [tensor(spec) for spec in model.inputs.values()],
        "outputs": [tensor(spec) for spec in model.outputs.values()],
        "parameters": {**said, **model.identity},
    }


@functools.cache  # numpy's names cost a tenth of a whole request
def datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's name of `dtype`."""
    names = {"float16": "FP16", "float32": "FP32", "float64": "FP64", "object": "BYTES"}
    return names.get(dtype.name, dtype.name.upper())


def read_inference(
    body: bytes | bytearray, header_length: str | None, model: Served, limits: Limits
) -> tuple[Samples, Wanted]:
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


def read_document(request: dict[str, Any], model: Served, *, literals: bool) -> tuple[Samples, Wanted]:
    """Read a request that was parsed already; `literals` says whether `true` or `false` may stand among its values.

    Raises:
        TensorError: it is not a request that `model` can answer.
    """
    return _samples(request, memoryview(b""), model, literals=literals), read_wanted(request, model)


def _beside(request: dict[str, Any]) -> dict[str, Any]:
    """Return `request` without its tensors' data."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        return request
    return {**request, "inputs": [{key: value for key, value in one.items() if key != "data"} for one in inputs]}


def _split(body: bytes | bytearray, header_length: str | None) -> tuple[bytes | bytearray | memoryview, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    if not header_length.isascii() or not header_length.isdigit() or int(header_length[:19]) > len(body):
        msg = f"Inference-Header-Content-Length: {header_length!r}; allowed: 0 to {len(body)}, the size of the body"
        raise TensorError(msg)
    view = memoryview(body)
    return view[: int(header_length)], view[int(header_length) :]


def _samples(request: dict[str, Any], binary: memoryview, model: Served, *, literals: bool) -> Samples:
    inputs = by_name(request.get("inputs"), model)
    shapes = check_headers(inputs, model)
    found: dict[str, NDArray[Any]] = {}
    rest = binary
    for name, tensor in inputs.items():  # in the request's order, as the bytes behind it are
        size, spec = _parameters(tensor).get("binary_data_size"), model.inputs[name]
        if size is None:
            found[name] = _from_json(tensor, shapes[name], spec, literals=literals)
        else:
            others = list(inputs.values())[len(found) + 1 :]
            last = not any("binary_data_size" in _parameters(one) for one in others)
            found[name] = _from_binary(tensor, shapes[name], size, rest, spec, last=last)
            rest = rest[size:]
    if rest:
        of = "no input has" if len(rest) == len(binary) else "all that the inputs have in"
        msg = f"{len(rest)} bytes follow the JSON, but {of} 'binary_data_size'"
        raise TensorError(msg)
    return in_order(found, model)


def in_order(found: dict[str, NDArray[Any]], model: Served) -> Samples:
    """Return inputs whose shapes were checked in the order of the model's, once their values are in range.

    Raises:
        TensorError: one is not.
    """
    for name, spec in model.inputs.items():
        spec.check_values(found[name])
    return found if len(found) == 1 else {name: found[name] for name in model.inputs}


def by_name(inputs: Any, model: Served) -> dict[str, dict[str, Any]]:
    """Return a request's tensors by name, in its order.

    Raises:
        TensorError: they are not those that the model takes.
    """
    if not isinstance(inputs, list) or len(inputs) != len(model.inputs):
        count = "one tensor" if len(model.inputs) == 1 else f"{len(model.inputs)} tensors"
        msg = f"'inputs' must be a list of {count}, {_names(model.inputs)}"
        raise TensorError(msg)
    found: dict[str, dict[str, Any]] = {}
    for one in inputs:
        tensor = _object(one, "an input")
        name = tensor.get("name")
        if not isinstance(name, str) or name not in model.inputs:
            msg = f"unknown input {text(name)}; model {model.name!r} takes {_names(model.inputs)}"
            raise TensorError(msg)
        if name in found:
            msg = f"input {name!r} is there twice; model {model.name!r} takes {_names(model.inputs)}"
            raise TensorError(msg)
        found[name] = tensor
    return found


def _names(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(map(repr, specs))


def check_headers(inputs: dict[str, dict[str, Any]], model: Served) -> dict[str, tuple[int, ...]]:
    """Return the tensors' shapes; their datatypes and shapes are checked before the data is looked at.

    Raises:
        TensorError: the model takes others.
        RequestError: they would take too much memory.
    """
    # of one input of one shape there is nothing to compare
    sizes = Sizes(model) if len(inputs) > 1 or model.facts.varies else None
    found = {name: _check_header(tensor, model.inputs[name], model, sizes) for name, tensor in inputs.items()}
    if sizes is not None:
        sizes.check_bytes()
    return found


def _check_header(tensor: dict[str, Any], spec: TensorSpec, model: Served, sizes: Sizes | None) -> tuple[int, ...]:
    wanted = datatype(spec.dtype)
    if tensor.get("datatype") != wanted:
        msg = f"input {spec.name!r} has datatype {text(tensor.get('datatype'))}, expected {wanted!r}"
        raise TensorError(msg)
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 1 << 31 for size in shape):
        msg = f"input {spec.name!r}: 'shape' is {text(shape)}, expected a list of whole numbers"
        raise TensorError(msg)
    if len(shape) != len(spec.dims) or (spec.is_fixed and shape[1:] != spec.dims[1:]):
        msg = f"input {spec.name!r} has shape {shape}, expected {spec.dims}"
        raise TensorError(msg)
    if shape[0] > model.max_batch:
        msg = f"input {spec.name!r} holds {shape[0]} samples; at most {model.max_batch} are taken"
        raise TensorError(msg)
    if sizes is not None:
        sizes.note(spec, tuple(shape))
    elif not shape[0]:
        msg = f"input {spec.name!r} holds no samples"
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
    tensor: dict[str, Any], shape: tuple[int, ...], size: Any, rest: memoryview, spec: TensorSpec, *, last: bool
) -> NDArray[Any]:
    """Return an input whose bytes are the first of `rest`, or all of it if no other input has some."""
    if "data" in tensor:
        msg = f"input {spec.name!r} has both 'data' and 'binary_data_size'"
        raise TensorError(msg)
    if type(size) is not int or not 0 <= size <= len(rest) or (last and size != len(rest)):
        msg = f"input {spec.name!r}: 'binary_data_size' is {text(size)}, but {len(rest)} bytes follow the JSON"
        raise TensorError(msg)
    try:
        return from_bytes(rest[:size], spec.dtype, shape)
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
    if not isinstance(outputs, list) or len(outputs) > len(model.outputs):
        count = "one tensor" if len(model.outputs) == 1 else f"at most {len(model.outputs)} tensors"
        msg = f"'outputs' must be a list of {count}, {_names(model.outputs)}"
        raise TensorError(msg)
    return Wanted(name, default, tuple(_wanted_outputs(outputs, model, default=default)), timeout_s)


def _wanted_outputs(outputs: list[Any], model: Served, *, default: bool) -> Iterator[Output]:
    asked = set[str]()
    for one in outputs:
        output = _object(one, "an output")
        name = output.get("name")
        if not isinstance(name, str) or name not in model.outputs or name in asked:
            what = "output asked for twice:" if name in asked else "unknown output"
            msg = f"{what} {text(name)}; model {model.name!r} answers {_names(model.outputs)}"
            raise TensorError(msg)
        asked.add(name)
        parameters = _parameters(output)
        yield Output(name, _flag(parameters, "binary_data", default=default), _classes(parameters, model, name))


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


def _classes(parameters: dict[str, Any], model: Served, name: str) -> int:
    """Return how many classes are asked for; Triton's extension "classification"."""
    count, spec = parameters.get("classification", 0), model.outputs[name]
    if count == 0 and type(count) is int:
        return 0
    if len(spec.shape) != 1 or not spec.is_fixed or spec.dtype.kind not in "fiu":
        msg = f"'classification' of output {name!r}, which holds no number a class; leave it out"
        raise TensorError(msg)
    if type(count) is not int or count < 0:
        msg = f"'classification' is {text(count)}, expected a whole number, 1 to {spec.shape[0]}"
        raise TensorError(msg)
    return min(count, int(spec.shape[0]))


def _answer(model: Served, wanted: Wanted, outputs: Samples) -> Response:
    said, data = [], []
    for output in wanted.of(model):
        about, values = told(model, output, outputs[output.name])
        if output.binary:
            data.append(to_bytes(values))
            about["parameters"] = {"binary_data_size": len(data[-1])}
        else:
            about["data"] = _json_data(output.name, values)
        said.append(about)
    head = json_response({**_named(model, wanted), "outputs": said})
    if not data:
        return head
    headers = ((HEADER_LENGTH, b"%d" % len(head.body)),)
    return Response(200, b"".join((head.body, *data)), b"application/octet-stream", headers)


def document(model: Served, wanted: Wanted, outputs: Samples) -> dict[str, Any]:
    """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`, as a JSON value.

    Raises:
        TensorError: they hold what JSON cannot carry.
    """
    said = []
    for output in wanted.of(model):
        about, values = told(model, output, outputs[output.name])
        said.append({**about, "data": _json_data(output.name, values)})
    return {**_named(model, wanted), "outputs": said}


def told(model: Served, output: Output, array: NDArray[Any]) -> tuple[dict[str, Any], NDArray[Any]]:
    """Return what is said of an output, and its values."""
    spec = model.outputs[output.name]
    if output.classes:
        array = likeliest(model, output, array)
        return {"name": spec.name, "datatype": "BYTES", "shape": list(array.shape)}, array
    return {**tensor(spec), "shape": list(array.shape)}, array


def _json_data(name: str, array: NDArray[Any]) -> Any:
    """Return an output's values, row-major, as orjson writes them."""
    if array.dtype == BYTES:
        try:
            return [one.decode() for one in array.ravel().tolist()]
        except UnicodeDecodeError as exc:
            msg = (
                f"output {name!r} holds bytes that are no text, which JSON cannot carry; ask for it with 'binary_data'"
            )
            raise TensorError(msg) from exc
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        msg = f"output {name!r} holds NaN, which JSON cannot carry; ask for it with 'binary_data'"
        raise TensorError(msg)
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype == np.float16 else array).ravel()


def _named(model: Served, wanted: Wanted) -> dict[str, Any]:
    named = {"model_name": model.name, "model_version": model.version}
    return named if wanted.id is None else {**named, "id": wanted.id}


def likeliest(model: Served, output: Output, array: NDArray[Any]) -> NDArray[Any]:
    """Return the likeliest classes as texts `value:index:name`, shape `(N, classes)`.

    Source: Triton, extension_classification.md.
    """
    names = model.labels.get(output.name)
    best = np.argsort(-array.astype(np.float64), axis=1, kind="stable")[:, : output.classes]
    found = [
        f"{row[one]:f}:{one}" + (f":{names[one]}" if names else "")
        for row, ones in zip(array, best.tolist(), strict=True)
        for one in ones
    ]
    return texts([one.encode() for one in found]).reshape(best.shape)


def tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return what metadata and answers say of a tensor."""
    return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": spec.dims}


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
