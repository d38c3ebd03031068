"""The protocol over HTTP: health, metadata, infer, and the binary tensor extension."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..answers import compressed, failure
from ..body import decode, has_truth_values, is_small, parse_json
from ..errors import RequestError
from ..messages import Response, json_response
from ..sample_body import sample_of
from ..tensors import TensorError
from .describe import EXTENSIONS, SERVER, check_model, metadata
from .inputs import NOTHING, read_inputs
from .objects import as_object
from .outputs import HEADER_LENGTH, response
from .wanted import PLAINLY, Wanted, read_wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import Samples
    from ..limits import Limits
    from ..messages import Request
    from ..served import Served

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
        if (sample := sample_of(self._request, body, self._model)) is not None:
            return sample
        length = self._request.text(HEADER_LENGTH)
        samples, self._wanted = read_inference(body, length, self._model, self._limits)
        return samples

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        return compressed(response(self._model, self._wanted, outputs), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)


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
    as_object(request, "the request")
    literals = has_truth_values(head, lambda: _beside(request))
    return read_inputs(request, model, binary, literals=literals), read_wanted(request, model)


def _beside(request: dict[str, Any]) -> dict[str, Any]:
    """Return `request` without its tensors' data."""
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        return request
    return {**request, "inputs": [{key: value for key, value in one.items() if key != "data"} for one in inputs]}


def _split(body: bytes | bytearray, header_length: str | None) -> tuple[bytes | bytearray | memoryview, memoryview]:
    if header_length is None:
        return body, NOTHING
    if not header_length.isascii() or not header_length.isdigit() or int(header_length[:19]) > len(body):
        msg = f"Inference-Header-Content-Length: {header_length!r}; allowed: 0 to {len(body)}, the size of the body"
        raise TensorError(msg)
    view = memoryview(body)
    return view[: int(header_length)], view[int(header_length) :]
