"""Status, metadata and predict over HTTP."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from ..answers import compressed, failure
from ..body import decode, has_truth_values, is_small, parse_json
from ..errors import RequestError
from ..limits import FREELY_BYTES
from ..messages import JSON, Response, json_response
from ..sample_body import sample_of
from ..tensors import text
from .describe import METHOD, SIGNATURE, metadata, status
from .inputs import read_document
from .outputs import as_lists, is_finite, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..engine import Samples
    from ..limits import Limits
    from ..messages import Request
    from ..served import Served

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
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
        return json_response(status(self._model, match["version"]))

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
        said = json.dumps(written({name: as_lists(array) for name, array in outputs.items()}, rows=self._rows))
        return compressed(Response(200, said.encode(), JSON), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


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


def _check_number(version: str | None) -> None:
    if version is not None and (len(version) > 19 or int(version) > MAX_INT64):
        raise RequestError(400, f"Failed to convert version: {version} to numeric.")
