"""The protocol over HTTP: health, metadata, infer, and the binary tensor extension."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from .. import __version__
from ..answers import compressed, failure
from ..body import decode, is_small
from ..errors import RequestError
from ..messages import Response, json_response
from ..sample_body import sample_of
from .describe import SERVER, check_model, extensions, metadata
from .outputs import HEADER_LENGTH, response
from .requests import Requests
from .wanted import PLAINLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import Samples
    from ..limits import Limits
    from ..messages import Request
    from ..sequences import Step
    from ..served import Served

_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<what>/ready|/infer)?")
_of_model = lru_cache(32)(_MODEL.fullmatch)  # those that are asked for are few


class OpenInference:
    """Answers what is below `/v2`."""

    def __init__(self, model: Served, limits: Limits, is_ready: Callable[[], bool]) -> None:
        self._model = model
        self._limits = limits
        self._requests = Requests(model, limits)
        self._is_ready = is_ready

    def answer(self, request: Request) -> Response | Infer:
        """Return the answer to `request`, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered.
        """
        path, get = request.path, request.method in ("GET", "HEAD")
        if match := _of_model(path):
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
            return Infer(self._model, self._limits, self._requests, request)
        return self._model_ready() if match["what"] else json_response(metadata(self._model))

    def _server(self) -> Response:
        return json_response({"name": SERVER, "version": __version__, "extensions": extensions(self._model)})

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

    def __init__(self, model: Served, limits: Limits, requests: Requests, request: Request) -> None:
        self.small = is_small(request)
        self._model, self._limits, self._requests, self._request = model, limits, requests, request
        self._wanted = PLAINLY

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
        body = decode(self._request, self._limits)
        if (sample := sample_of(self._request, body, self._model)) is not None:
            return sample
        samples, self._wanted = self._requests.read(body, self._request.text(HEADER_LENGTH))
        return samples

    def answer(self, outputs: Samples) -> Response:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        return compressed(response(self._model, self._wanted, outputs), self._request)

    def refuse(self, exc: Exception) -> Response:
        """Return the answer that says what went wrong."""
        return failure(exc)
