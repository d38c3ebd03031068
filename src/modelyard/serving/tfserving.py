"""TF Serving's REST API, version 1: status, metadata and predict.

Source: tensorflow_serving/model_servers/http_rest_api_handler.cc and http_rest_api_util.cc (2.20) for
routes, codes and messages; g3doc/api_rest.md for the bodies. KServe's V1 gives another body at
`GET /v1/models/<name>`; TF Serving's is the one served.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from starlette.responses import Response

from .body import has_literals, parse_json, read_body
from .errors import InputError, Overloaded, RequestError
from .responses import json_response
from .tensors import TensorError, TensorSpec, check_count, dense, from_b64, is_b64, text

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from starlette.requests import Request

    from .engine import Engine
    from .served import Served

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
SIGNATURE = "serving_default"
MAX_INT64 = 2**63 - 1


class TFServing:
    """Answers what is below `/v1/`."""

    def __init__(self, model: Served, engine: Engine, max_body_bytes: int) -> None:
        self._model = model
        self._engine = engine
        self._max_body_bytes = max_body_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer `request`, or raise `RequestError` with TF Serving's own message."""
        path = request.scope["path"]
        if request.method == "POST" and (match := PREDICTION.fullmatch(path)):
            _check_number(match["version"])
            if match["method"].lower() == "predict":
                return await self._predict(request, match)
            return await self._example(request, match)
        if request.method == "GET" and (match := STATUS.fullmatch(path)):
            return self._describe(match)
        raise RequestError(400, f"Malformed request: {request.method} {path}")

    def _describe(self, match: re.Match[str]) -> Response:
        if match["name"] is None:
            raise RequestError(400, "Missing model name in request.")
        _check_number(match["version"])
        if match["metadata"]:
            self._check_servable(match)
            return json_response(metadata(self._model))
        self._check_known(match)
        return json_response(status(self._model))

    async def _predict(self, request: Request, match: re.Match[str]) -> Response:
        data = await read_body(request, self._max_body_bytes)
        document = _document(data)
        signature = _signature(document)
        self._check_servable(match)
        if signature not in ("", SIGNATURE):
            raise RequestError(400, f'Serving signature name: "{signature}" not found in signature def')
        rows, samples = self._samples(document, literals=has_literals(data))
        return _answer("predictions" if rows else "outputs", await self._run(samples))

    async def _example(self, request: Request, match: re.Match[str]) -> Response:
        _signature(_document(await read_body(request, self._max_body_bytes)))
        self._check_servable(match)
        method = match["method"].lower()
        wanted = f"tensorflow/serving/{method}"
        name = {"classify": "classification", "regress": "regression"}[method]
        message = f"Expected {name} signature method_name to be {wanted}. Was: tensorflow/serving/predict"
        raise RequestError(400, message)

    def _samples(self, document: dict[str, Any], *, literals: bool) -> tuple[bool, NDArray[Any]]:
        """Return whether the answer is by rows, and the batch of raw samples."""
        try:
            rows, array = _batch(document, self._model, literals=literals)
            return rows, self._model.input.check(array, self._model.max_batch)
        except TensorError as exc:
            raise RequestError(400, str(exc)) from exc

    async def _run(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        try:
            return await self._engine.predict(samples)
        except InputError as exc:
            raise RequestError(400, str(exc)) from exc
        except Overloaded as exc:
            raise RequestError(503, str(exc)) from exc

    def _check_servable(self, match: re.Match[str]) -> None:
        self._check_label(match)
        name, version = match["name"], match["version"]
        if name != self._model.name or not self._is_version(version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {int(version)})"
            raise RequestError(404, f"Servable not found for request: {wanted}")

    def _check_known(self, match: re.Match[str]) -> None:
        self._check_label(match)
        name, version = match["name"], match["version"]
        if version is not None and not (name == self._model.name and self._is_version(version)):
            raise RequestError(404, f"Could not find version {int(version)} of model {name}")
        if name != self._model.name:
            raise RequestError(404, f"Could not find any versions of model {name}")

    def _check_label(self, match: re.Match[str]) -> None:
        if match["label"] is not None:
            raise RequestError(400, f"Unrecognized servable version label: {match['label']}")

    def _is_version(self, version: str | None) -> bool:
        return version is None or int(version) == int(self._model.version)


def status(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>`."""
    state = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": str(int(model.version)), "state": "AVAILABLE", "status": state}]}


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>/metadata`."""
    signature = {
        "inputs": {model.input.name: _tensor_info(model.input)},
        "outputs": {model.output.name: _tensor_info(model.output)},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(int(model.version))},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor_info(tensor: TensorSpec) -> dict[str, Any]:
    kinds = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE"}
    return {
        "dtype": kinds.get(tensor.dtype.name, f"DT_{tensor.dtype.name.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in (-1, *tensor.shape)],
            "unknown_rank": False,
        },
        "name": f"{tensor.name}:0",
    }


def _document(data: bytes) -> dict[str, Any]:
    if not data:
        raise RequestError(400, "JSON Parse error: The document is empty")
    try:
        document = parse_json(data, literals=True)
    except ValueError as exc:
        raise RequestError(400, f"JSON Parse error: {exc}") from exc
    if not isinstance(document, dict):
        raise RequestError(400, f"JSON Value: {text(document)} Is not object")
    return document


def _signature(document: dict[str, Any]) -> str:
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        message = f"JSON Value: {text(document)} not formatted correctly. 'signature_name' key must be a string value."
        raise RequestError(400, message)
    return signature


def _batch(document: dict[str, Any], model: Served, *, literals: bool) -> tuple[bool, NDArray[Any]]:
    if "instances" in document and "inputs" in document:
        message = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise TensorError(f"JSON Value: {text(document)} {message}")  # noqa: EM102
    if "instances" in document:
        return True, _instances(document, model, literals=literals)
    if "inputs" in document:
        return False, _inputs(document["inputs"], model.input, literals=literals)
    msg = "Missing 'inputs' or 'instances' key"
    raise TensorError(msg)


def _instances(document: dict[str, Any], model: Served, *, literals: bool) -> NDArray[Any]:
    instances = document["instances"]
    if not isinstance(instances, list):
        msg = f"JSON Value: {text(document)} Excepting 'instances' to be an list/array"
        raise TensorError(msg)
    if not instances:
        msg = f"JSON Value: {text(document)} No values in 'instances' array"
        raise TensorError(msg)
    check_count(len(instances), model.max_batch)  # before anything is done once an instance
    if dict not in set(map(type, instances)):
        try:
            return dense(instances, model.input.dtype, has_literals=literals)
        except TensorError:
            pass  # one by one, to say which
    return _one_by_one(instances, model.input, literals=literals)


def _one_by_one(instances: list[Any], spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    named = _is_object(instances[0])
    arrays: list[NDArray[Any]] = []
    for number, item in enumerate(instances):
        if _is_object(item) != named:
            wanted = "Expecting object but got list" if named else "Expecting value/list but got object"
            msg = f"{wanted} at item {number} of input list"
            raise TensorError(msg)
        array = _element(item, number, spec, literals=literals)
        _check_alike(array, arrays, number)
        arrays.append(array)
    return np.stack(arrays)


def _element(item: Any, number: int, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    """Return one sample of `instances`: its value, or the value under the input's name."""
    where = f"Failed to process element: {number}"
    if _is_object(item):
        _check_keys(item, where, spec.name)
        item, where = item[spec.name], f"{where} key: {spec.name}"
    try:
        if is_b64(item):
            return from_b64(item, spec.dtype, spec.shape)
        return dense(item, spec.dtype, has_literals=literals)
    except TensorError as exc:
        msg = f"{where} of 'instances' list. Error: INVALID_ARGUMENT: {exc}"
        raise TensorError(msg) from exc


def _check_keys(item: dict[str, Any], where: str, name: str) -> None:
    for key in item:
        if key != name:
            error = f"INVALID_ARGUMENT: JSON object: does not have named input: {key}"
            msg = f"{where} key: {key} of 'instances' list. Error: {error}"
            raise TensorError(msg)
    if not item:
        msg = f"{where} of 'instances' list. JSON object: {text(item)} keys must be equal to: {name}"
        raise TensorError(msg)


def _check_alike(array: NDArray[Any], arrays: list[NDArray[Any]], number: int) -> None:
    if not arrays or array.shape == arrays[0].shape:
        return
    first, shapes = arrays[0], [str(list(a.shape)).replace(" ", "") for a in (arrays[0], array)]
    detail = f"Expecting tensor size: {first.size} but got: {array.size}"
    if array.size == first.size:
        detail = f"Expecting shape {shapes[0]} but got: {shapes[1]}"
    msg = f"Failed to process element: {number} of 'instances' list. Error: INVALID_ARGUMENT: {detail}"
    raise TensorError(msg)


def _inputs(value: Any, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if _is_object(value):
        if spec.name not in value:
            msg = f"Missing named input: {spec.name} in 'inputs' object."
            raise TensorError(msg)
        value = value[spec.name]
    if is_b64(value):
        return from_b64(value, spec.dtype, (-1, *spec.shape))
    return dense(value, spec.dtype, has_literals=literals)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _check_number(version: str | None) -> None:
    if version is not None and (len(version) > 19 or int(version) > MAX_INT64):
        raise RequestError(400, f"Failed to convert version: {version} to numeric.")


def _answer(key: str, probabilities: NDArray[np.float32]) -> Response:
    if np.isfinite(probabilities).all():
        return json_response({key: np.ascontiguousarray(probabilities)})
    # TF Serving writes NaN and Infinity as they are; orjson would make them null.
    shortest = orjson.loads(orjson.dumps(np.nan_to_num(probabilities), option=orjson.OPT_SERIALIZE_NUMPY))
    for row, column in np.argwhere(~np.isfinite(probabilities)):
        shortest[row][column] = float(probabilities[row, column])
    return Response(json.dumps({key: shortest}), media_type="application/json")
