"""The Open Inference Protocol v2 over HTTP: health, metadata, infer, and the binary tensor extension.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's
extension_binary_data.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.responses import Response
from starlette.routing import Route

from . import __version__
from .body import has_literals, parse_json, read_body
from .errors import InputError, Overloaded, RequestError
from .responses import json_response
from .tensors import TensorError, TensorSpec, dense, from_bytes, nesting, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from starlette.requests import Request

    from .engine import Engine
    from .served import Served

SERVER = "modelyard"
EXTENSIONS = ("binary_tensor_data",)
PLATFORMS = {"tflite": "litert_tflite", "onnx": "onnx_onnxv1"}
"""The protocol's name of a format, `<project>_<format>`; any other format stands for itself."""

HEADER_LENGTH = "inference-header-content-length"
_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"


@dataclass(frozen=True)
class Inference:
    """A request to infer, read and checked: its raw samples, and how the answer is wanted."""

    samples: NDArray[Any]
    id: str | None
    binary: bool


class OpenInference:
    """Answers what is below `/v2`."""

    def __init__(self, model: Served, engine: Engine, max_body_bytes: int, is_ready: Callable[[], bool]) -> None:
        self._model = model
        self._engine = engine
        self._max_body_bytes = max_body_bytes
        self._is_ready = is_ready

    def routes(self) -> list[Route]:
        """Return the protocol's routes."""
        routes = [
            Route("/v2", self._server),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._ready),
        ]
        for path in (_MODEL, _VERSION):
            routes += [
                Route(path, self._metadata),
                Route(f"{path}/ready", self._model_ready),
                Route(f"{path}/infer", self._infer, methods=["POST"]),
            ]
        return routes

    async def _server(self, _request: Request) -> Response:
        return json_response({"name": SERVER, "version": __version__, "extensions": EXTENSIONS})

    async def _live(self, _request: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, _request: Request) -> Response:
        ready = self._is_ready()
        return json_response({"ready": ready}, 200 if ready else 503)

    async def _model_ready(self, request: Request) -> Response:
        self._check_model(request)
        ready = self._is_ready()
        return json_response({"name": self._model.name, "ready": ready}, 200 if ready else 503)

    async def _metadata(self, request: Request) -> Response:
        self._check_model(request)
        return json_response(metadata(self._model))

    async def _infer(self, request: Request) -> Response:
        self._check_model(request)
        body = await read_body(request, self._max_body_bytes)
        try:
            inference = read_inference(body, request.headers.get(HEADER_LENGTH), self._model)
            probabilities = await self._engine.predict(inference.samples)
            return _answer(self._model, inference, probabilities)
        except (TensorError, InputError) as exc:
            raise RequestError(400, str(exc)) from exc
        except Overloaded as exc:
            raise RequestError(503, str(exc)) from exc

    def _check_model(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", self._model.version)
        if name != self._model.name:
            raise RequestError(404, f"unknown model {name!r}; served: {self._model.name!r}")
        if version != self._model.version:
            raise RequestError(404, f"model {name!r} has no version {version!r}; served: {self._model.version!r}")


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v2/models/<name>`."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORMS.get(model.facts.format, model.facts.format),
        "inputs": [_tensor(model.input)],
        "outputs": [_tensor(model.output)],
        "parameters": {"class_names": list(model.facts.class_names), **model.identity},
    }


def datatype(dtype: np.dtype[Any]) -> str:
    """Return the protocol's name of `dtype`."""
    return {"float32": "FP32", "float64": "FP64"}.get(dtype.name, dtype.name.upper())


def read_inference(body: bytes, header_length: str | None, model: Served) -> Inference:
    """Read a request's body: JSON, followed by binary tensors if `header_length` says where the JSON ends.

    Raises:
        TensorError: it is not a request that `model` can answer.
    """
    head, binary = _split(body, header_length)
    try:
        request = parse_json(head)
    except ValueError as exc:
        msg = f"the request is not JSON: {exc}"
        raise TensorError(msg) from exc
    _object(request, "the request")
    samples = _samples(request, binary, model, literals=has_literals(head))
    return Inference(samples, _id(request), _wants_binary(request, model))


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not header_length.isascii() or not header_length.isdigit() or int(header_length[:19]) > len(body):
        msg = f"Inference-Header-Content-Length: {header_length!r}; allowed: 0 to {len(body)}, the size of the body"
        raise TensorError(msg)
    return body[: int(header_length)], body[int(header_length) :]


def _samples(request: dict[str, Any], binary: bytes, model: Served, *, literals: bool) -> NDArray[Any]:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        msg = f"'inputs' must be a list of one tensor, {model.input.name!r}"
        raise TensorError(msg)
    tensor = _object(inputs[0], "an input")
    shape = _check_header(tensor, model)
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if binary:
            msg = f"{len(binary)} bytes follow the JSON, but no input has 'binary_data_size'"
            raise TensorError(msg)
        array = _from_json(tensor, shape, model.input, literals=literals)
    else:
        array = _from_binary(tensor, shape, size, binary, model.input)
    return model.input.check(array, model.max_batch)


def _check_header(tensor: dict[str, Any], model: Served) -> tuple[int, ...]:
    """Return the tensor's shape; its name, datatype and shape are checked before its data is looked at."""
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
    tensor: dict[str, Any], shape: tuple[int, ...], size: Any, binary: bytes, spec: TensorSpec
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


def _wants_binary(request: dict[str, Any], model: Served) -> bool:
    """Return whether the output is wanted as bytes; the requested outputs are checked on the way."""
    default = _flag(_parameters(request), "binary_data_output", default=False)
    outputs = request.get("outputs")
    if outputs is None or outputs == []:
        return default
    if not isinstance(outputs, list) or len(outputs) > 1:
        msg = f"'outputs' must be a list of one tensor, {model.output.name!r}"
        raise TensorError(msg)
    output = _object(outputs[0], "an output")
    if output.get("name") != model.output.name:
        msg = f"unknown output {text(output.get('name'))}; model {model.name!r} answers {model.output.name!r}"
        raise TensorError(msg)
    return _flag(_parameters(output), "binary_data", default=default)


def _answer(model: Served, inference: Inference, probabilities: NDArray[np.float32]) -> Response:
    output: dict[str, Any] = {**_tensor(model.output), "shape": list(probabilities.shape)}
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if inference.id is not None:
        answer["id"] = inference.id
    if inference.binary:
        return _binary_answer(answer, output, probabilities)
    if not np.isfinite(probabilities).all():
        msg = f"output {model.output.name!r} holds NaN, which JSON cannot carry; ask for it with 'binary_data'"
        raise TensorError(msg)
    return json_response({**answer, "outputs": [{**output, "data": np.ascontiguousarray(probabilities).ravel()}]})


def _binary_answer(answer: dict[str, Any], output: dict[str, Any], probabilities: NDArray[np.float32]) -> Response:
    data = probabilities.astype("<f4").tobytes()
    head = json_response({**answer, "outputs": [{**output, "parameters": {"binary_data_size": len(data)}}]}).body
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Response(bytes(head) + data, headers=headers, media_type="application/octet-stream")


def _tensor(spec: TensorSpec) -> dict[str, Any]:
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
