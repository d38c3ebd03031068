"""TF Serving's REST API, version 1: status, metadata and predict.

Source: tensorflow_serving/model_servers/http_rest_api_handler.cc and http_rest_api_util.cc (2.20) for
routes, codes and messages; g3doc/api_rest.md for the bodies. KServe's V1 gives another body at
`GET /v1/models/<name>`; TF Serving's is the one served.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import orjson

from .answers import compressed, failure
from .body import decode, has_truth_values, is_small, parse_json
from .errors import RequestError
from .limits import FREELY_BYTES
from .messages import JSON, Response, json_response
from .tensors import TensorError, TensorSpec, check_count, dense, from_b64, is_b64, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .limits import Limits
    from .messages import Request
    from .served import Served

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
SIGNATURE = "serving_default"
METHOD = "tensorflow/serving/predict"
MAX_INT64 = 2**63 - 1


class TFServing:
    """Answers what is below `/v1/`."""

    def __init__(self, model: Served, limits: Limits) -> None:
        self._model = model
        self._limits = limits

    def answer(self, request: Request) -> Response | Predict:
        """Return the answer to `request`, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered; with TF Serving's own message.
        """
        path = request.path
        if request.method == "POST" and (match := PREDICTION.fullmatch(path)):
            _check_number(match["version"])
            target = Target(self._model, match)
            if match["method"].lower() == "predict":
                return Predict(target, self._limits, request)
            return self._example(request, target)
        if request.method in ("GET", "HEAD") and (match := STATUS.fullmatch(path)):
            return self._describe(match)
        raise RequestError(400, f"Malformed request: {request.method} {path}")

    def _describe(self, match: re.Match[str]) -> Response:
        if match["name"] is None:
            raise RequestError(400, "Missing model name in request.")
        _check_number(match["version"])
        target = Target(self._model, match)
        if match["metadata"]:
            target.check_servable()
            return json_response(metadata(self._model))
        target.check_known()
        return json_response(status(self._model))

    def _example(self, request: Request, target: Target) -> NoReturn:
        # Only whether it is JSON is looked at, and a large text would be looked at here, on the event loop.
        if len(request.body) <= FREELY_BYTES and b"content-encoding" not in request.headers:
            _signature(_document(request.body, self._limits))
        target.check_servable()
        method = target.match["method"].lower()
        wanted = f"tensorflow/serving/{method}"
        name = {"classify": "classification", "regress": "regression"}[method]
        message = f"Expected {name} signature method_name to be {wanted}. Was: {METHOD}"
        raise RequestError(400, message)


@dataclass(frozen=True)
class Target:
    """Which model, version or label a path names."""

    model: Served
    match: re.Match[str] | Mapping[str, Any]

    def check_servable(self) -> None:
        """Refuse another model or version, as TF Serving does where it is to be asked."""
        self._check_label()
        name, version = self.match["name"], self.match["version"]
        if name != self.model.name or not self._is_version(version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {int(version)})"
            raise RequestError(404, f"Servable not found for request: {wanted}")

    def check_known(self) -> None:
        """Refuse another model or version, as TF Serving does where it is to be described."""
        self._check_label()
        name, version = self.match["name"], self.match["version"]
        if version is not None and not (name == self.model.name and self._is_version(version)):
            raise RequestError(404, f"Could not find version {int(version)} of model {name}")
        if name != self.model.name:
            raise RequestError(404, f"Could not find any versions of model {name}")

    def _check_label(self) -> None:
        if self.match["label"] is not None:
            raise RequestError(400, f"Unrecognized servable version label: {self.match['label']}")

    def _is_version(self, version: str | None) -> bool:
        return version is None or int(version) == int(self.model.version)


class Predict:
    """A request to `:predict`."""

    timeout_s = None
    """TF Serving's REST API has no word for how long a request may wait."""

    def __init__(self, target: Target, limits: Limits, request: Request) -> None:
        self.small = is_small(request)
        self._target, self._limits, self._request = target, limits, request
        self._key = "predictions"

    def read(self) -> NDArray[Any]:
        """Return the raw samples, shape `(N, *input_shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        data = decode(self._request, self._limits)
        document = _document(data, self._limits)
        signature = _signature(document)
        self._target.check_servable()
        if signature not in ("", SIGNATURE):
            raise RequestError(400, f'Serving signature name: "{signature}" not found in signature def')
        model = self._target.model
        beside = {key: value for key, value in document.items() if key not in ("instances", "inputs")}
        literals = has_truth_values(data, beside)
        rows, array = read_document(document, model, literals=literals)
        self._key = "predictions" if rows else "outputs"
        return model.input.check(array, model.max_batch)

    def answer(self, probabilities: NDArray[np.float32]) -> Response:
        """Return the answer that carries `probabilities`, shape `(N, classes)`."""
        return compressed(_answer(self._key, probabilities), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


def status(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>`."""
    state = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": str(int(model.version)), "state": "AVAILABLE", "status": state}]}


def metadata(model: Served) -> dict[str, Any]:
    """Return the body of `GET /v1/models/<name>/metadata`."""
    signature = {
        "inputs": {model.input.name: _tensor_info(model.input)},
        "outputs": {model.output.name: _tensor_info(model.output)},
        "method_name": METHOD,
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


def _document(data: bytes | bytearray, limits: Limits) -> dict[str, Any]:
    if not data:
        raise RequestError(400, "JSON Parse error: The document is empty")
    try:
        document = parse_json(data, limits, literals=True)
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


def read_document(document: dict[str, Any], model: Served, *, literals: bool) -> tuple[bool, NDArray[Any]]:
    """Return whether `document` asks by `instances`, in rows, and what it asks; of `inputs` it is one tensor.

    Raises:
        TensorError: it has neither, both, or one that is no tensor.
    """
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
    return Response(200, json.dumps({key: shortest}).encode(), JSON)
