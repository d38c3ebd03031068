"""TF Serving's REST API, version 1: status, metadata and predict.

Source: tensorflow_serving/model_servers/http_rest_api_handler.cc and http_rest_api_util.cc (2.20) for
routes, codes and messages; g3doc/api_rest.md for the bodies. KServe's V1 gives another body at
`GET /v1/models/<name>`; TF Serving's is the one served.
"""

from __future__ import annotations

import base64
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
from .model import BYTES
from .sample_body import sample_of
from .tensors import TensorError, TensorSpec, check_count, dense, from_b64, is_b64, shape_text, text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from .engine import Samples
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
        self._rows = True

    def read(self) -> Samples:
        """Return the raw samples by input, each of shape `(N, *shape)`.

        Raises:
            RequestError, TensorError: it is not a request that the model can answer.
        """
        data = decode(self._request, self._limits)
        if (sample := sample_of(self._request, data, self._target.model)) is not None:
            self._target.check_servable()
            return sample
        document = _document(data, self._limits)
        signature = _signature(document)
        self._target.check_servable()
        if signature not in ("", SIGNATURE):
            raise RequestError(400, f'Serving signature name: "{signature}" not found in signature def')
        model = self._target.model
        literals = has_truth_values(
            data, lambda: {key: value for key, value in document.items() if key not in ("instances", "inputs")}
        )
        self._rows, samples = read_document(document, model, literals=literals)
        return samples

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        if all(map(is_finite, outputs.values())):
            return compressed(json_response(written(outputs, rows=self._rows)), self._request)
        # TF Serving writes NaN and Infinity as they are; orjson would make them null.
        said = json.dumps(written({name: _as_lists(array) for name, array in outputs.items()}, rows=self._rows))
        return compressed(Response(200, said.encode(), JSON), self._request)

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
        "inputs": {name: _tensor_info(spec) for name, spec in model.inputs.items()},
        "outputs": {name: _tensor_info(spec) for name, spec in model.outputs.items()},
        "method_name": METHOD,
        "defaults": {},
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(int(model.version))},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _tensor_info(tensor: TensorSpec) -> dict[str, Any]:
    kinds = {"float16": "DT_HALF", "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "object": "DT_STRING"}
    return {
        "dtype": kinds.get(tensor.dtype.name, f"DT_{tensor.dtype.name.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in tensor.dims],
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


def read_document(document: dict[str, Any], model: Served, *, literals: bool) -> tuple[bool, Samples]:
    """Return whether `document` asks by `instances`, in rows, and the samples that it holds, by input.

    Raises:
        TensorError: it has neither, both, or one that holds no samples of the model's.
        RequestError: they would take too much memory.
    """
    if "instances" in document and "inputs" in document:
        message = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise TensorError(f"JSON Value: {text(document)} {message}")  # noqa: EM102
    if "instances" in document:
        return True, model.check(_instances(document, model, literals=literals))
    if "inputs" in document:
        return False, model.check(_inputs(document["inputs"], model, literals=literals))
    msg = "Missing 'inputs' or 'instances' key"
    raise TensorError(msg)


def _instances(document: dict[str, Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    instances = document["instances"]
    if not isinstance(instances, list):
        msg = f"JSON Value: {text(document)} Excepting 'instances' to be an list/array"
        raise TensorError(msg)
    if not instances:
        msg = f"JSON Value: {text(document)} No values in 'instances' array"
        raise TensorError(msg)
    check_count(len(instances), model.max_batch)  # before anything is done once an instance
    try:
        found = _at_once(instances, model, literals=literals)
    except TensorError:
        found = None  # one by one, to say which
    return _one_by_one(instances, model, literals=literals) if found is None else found


def _at_once(instances: list[Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]] | None:
    """Return what is in `instances`, by input; None: it is not all of one form, or there are bytes among it."""
    specs, kinds = model.inputs, set(map(type, instances))
    if len(specs) == 1 and dict not in kinds:
        ((name, spec),) = specs.items()
        return {name: dense(instances, spec.dtype, has_literals=literals)}
    if kinds != {dict} or not all(item.keys() == specs.keys() for item in instances):
        return None
    columns = {name: [item[name] for item in instances] for name in specs}
    if any(not specs[name].is_text and dict in set(map(type, column)) for name, column in columns.items()):
        return None
    return {name: dense(column, specs[name].dtype, has_literals=literals) for name, column in columns.items()}


def _one_by_one(instances: list[Any], model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    named = _is_object(instances[0])
    if not named and len(model.inputs) > 1:
        wanted = "expecting list of objects as multiple input tensors required as per tensorinfo_map"
        msg = f"instances is a plain list, but {wanted}: {{{', '.join(model.inputs)}}}"
        raise TensorError(msg)
    arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in model.inputs}
    for number, item in enumerate(instances):
        if _is_object(item) != named:
            wanted = "Expecting object but got list" if named else "Expecting value/list but got object"
            msg = f"{wanted} at item {number} of input list"
            raise TensorError(msg)
        for name, array in _element(item, number, model, literals=literals).items():
            _check_alike(array, arrays[name], number)
            arrays[name].append(array)
    return {name: np.stack(each) for name, each in arrays.items()}


def _element(item: Any, number: int, model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    """Return one sample of `instances`, by input: its value, or the values under the inputs' names."""
    where = f"Failed to process element: {number}"
    if not _is_object(item):
        ((name, spec),) = model.inputs.items()
        return {name: _value(item, where, spec, literals=literals)}
    _check_keys(item, where, model.inputs)
    return {
        name: _value(item[name], f"{where} key: {name}", spec, literals=literals) for name, spec in model.inputs.items()
    }


def _value(item: Any, where: str, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    try:
        if is_b64(item) and not spec.is_text:
            _check_has_bytes(spec)
            return from_b64(item, spec.dtype, spec.shape)
        return dense(item, spec.dtype, has_literals=literals)
    except TensorError as exc:
        msg = f"{where} of 'instances' list. Error: INVALID_ARGUMENT: {exc}"
        raise TensorError(msg) from exc


def _check_has_bytes(spec: TensorSpec) -> None:
    if not spec.is_fixed:
        msg = f"bytes do not say the shape, which varies: {shape_text(spec.expected)}; write the values as lists"
        raise TensorError(msg)


def _check_keys(item: dict[str, Any], where: str, names: Collection[str]) -> None:
    for key in item:
        if key not in names:
            error = f"INVALID_ARGUMENT: JSON object: does not have named input: {key}"
            msg = f"{where} key: {key} of 'instances' list. Error: {error}"
            raise TensorError(msg)
    if len(item) < len(names):
        known = ",".join(names)
        msg = f"{where} of 'instances' list. JSON object: {text(item)} keys must be equal to: {known}"
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


def _inputs(value: Any, model: Served, *, literals: bool) -> dict[str, NDArray[Any]]:
    if not _is_object(value):
        if len(model.inputs) > 1:
            wanted = "expecting an object as multiple input tensors required as per tensorinfo_map"
            msg = f"inputs is a plain value/list, but {wanted}: {{{', '.join(model.inputs)}}}"
            raise TensorError(msg)
        ((name, spec),) = model.inputs.items()
        return {name: _column(value, spec, literals=literals)}
    for name in model.inputs:
        if name not in value:
            msg = f"Missing named input: {name} in 'inputs' object."
            raise TensorError(msg)
    found = {}
    for name, spec in model.inputs.items():
        try:
            found[name] = _column(value[name], spec, literals=literals)
        except TensorError as exc:
            msg = f"input {name!r}: {exc}" if len(model.inputs) > 1 else str(exc)
            raise TensorError(msg) from exc
    return found


def _column(value: Any, spec: TensorSpec, *, literals: bool) -> NDArray[Any]:
    if is_b64(value) and not spec.is_text:
        _check_has_bytes(spec)
        return from_b64(value, spec.dtype, (-1, *spec.shape))
    return dense(value, spec.dtype, has_literals=literals)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _check_number(version: str | None) -> None:
    if version is not None and (len(version) > 19 or int(version) > MAX_INT64):
        raise RequestError(400, f"Failed to convert version: {version} to numeric.")


def written(outputs: Mapping[str, Any], *, rows: bool) -> dict[str, Any]:
    """Return the body that carries `outputs`: in rows, one a sample, or in columns; of several, each has its name."""
    columns = {name: _json_values(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        (column,) = columns.values()
        return {"predictions": column} if rows else {"outputs": column}
    if not rows:
        return {"outputs": columns}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def is_finite(array: NDArray[Any]) -> bool:
    """Whether JSON can carry every number of `array`."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _json_values(name: str, array: Any) -> Any:
    """Return an output as orjson writes it; texts as text, those of an output named `..._bytes` and other bytes as base64."""
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype == BYTES:
        return _nested(
            [_json_text(one, encoded=name.endswith("_bytes")) for one in array.ravel().tolist()], array.shape
        )
    if (
        array.ndim == 1 and array.dtype.kind != "f"
    ):  # in rows they stand alone, where orjson does not know all of numpy's
        return array.tolist()
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype == np.float16 else array)


def _json_text(value: bytes, *, encoded: bool) -> str | dict[str, str]:
    try:
        if not encoded:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}


def _nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Return `values`, row-major, as lists in one another."""
    for size in reversed(shape[1:]):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


def _as_lists(array: NDArray[Any]) -> Any:
    """Return numbers as lists of the shortest numbers, as orjson writes them, with NaN and infinities among them."""
    if array.dtype == BYTES:
        return array
    array = array.astype(np.float32) if array.dtype == np.float16 else np.ascontiguousarray(array)
    shortest = orjson.loads(
        orjson.dumps(np.nan_to_num(array) if array.dtype.kind == "f" else array, option=orjson.OPT_SERIALIZE_NUMPY)
    )
    for place in () if is_finite(array) else np.argwhere(~np.isfinite(array)):
        row = shortest
        for axis in place[:-1]:
            row = row[axis]
        row[place[-1]] = float(array[tuple(place)])
    return shortest
