"""What is behind the connections for gRPC: services and their methods; the password and the notes are those of HTTP."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..answers import failure
from ..body import decode
from ..errors import RequestError
from ..messages import Response
from . import oip, tfserving, wire
from .health import Health
from .oip import Inference
from .tfserving import ModelStatus, Prediction

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from ..app import App
    from ..engine import Work
    from ..messages import Request
    from ..repository import Open, Repository
    from ..service import Peer
    from .connection import Connection
    from .stream import Stream


class Methods(Protocol):
    """A service: its methods by name."""

    def answer(self, method: str, request: Request) -> Response | Work[Response]:
        """Return the answer to a call, or the prediction that it asks for.

        Raises:
            RequestError: it cannot be answered.
        """
        ...


class Calls:
    """Answers calls, as `connection.GrpcService` says.

    Attributes:
        max_message_bytes: the size of a message as sent.
    """

    def __init__(
        self,
        app: App,
        repository: Repository,
        is_ready: Callable[[], bool],
        loop: AbstractEventLoop,
    ) -> None:
        models = repository.models
        self.max_message_bytes = max(one.limits.message for one in models)
        self._app, self._repository = app, repository
        self._services: dict[str, dict[Open, Methods]] = {
            "inference.GRPCInferenceService": {one: Inference(one.model, one.limits, is_ready) for one in models},
            "tensorflow.serving.PredictionService": {one: Prediction(one.model, one.limits) for one in models},
            "tensorflow.serving.ModelService": {one: ModelStatus(one.model, one.limits) for one in models},
        }
        self._health = Health((*self._services, *(one.model.name for one in models)), is_ready, loop)

    def began(self, request: Request) -> None:
        """Take note of a call, and give it its place in a trace."""
        self._app.began(request)

    def hold_s(self, request: Request, connection: Peer) -> float:
        """Return how long the call waits before its password is looked at, in seconds."""
        return self._app.hold_s(request, connection)

    def admit(self, request: Request, connection: Peer) -> Response | None:
        """Return the refusal of a call without the password, or None."""
        return self._app.check_password(request, connection)

    def answer(self, stream: Stream, connection: Connection) -> None:
        """Answer by `connection.respond`, now or later; if later, note in `stream.take_back` what takes it back."""
        request = stream.request
        try:
            if request.path == Health.WATCH:
                stream.take_back = self._health.watch(request, stream, connection)
                return
            one, answer = self._route(request)
        except Exception as exc:
            connection.respond(stream, failure(exc))
            return
        if isinstance(answer, Response):
            connection.respond(stream, answer)
        else:
            stream.take_back = one.engine.submit(answer, lambda response: connection.respond(stream, response))

    def closing(self) -> bool:
        """Return whether clients are asked to leave."""
        return self._app.closing()

    def answered(self, request: Request | None, status: int, duration_s: float, peer: str) -> None:
        """Count and log an answer; None: to what is no call."""
        self._app.answered(request, status, duration_s, peer)

    def _route(self, request: Request) -> tuple[Open, Response | Work[Response]]:
        _, _, rest = request.path.partition("/")
        name, _, method = rest.partition("/")
        if name == Health.NAME:
            return self._repository.first, self._health.answer(method, request)
        service = self._services.get(name)
        if service is None:
            served = (*self._services, Health.NAME)
            raise RequestError(405, f"unknown service {name!r}; served: {', '.join(served)}")
        one = self._asked(name, request)
        return one, service[one].answer(method, request)

    def _asked(self, service: str, request: Request) -> Open:
        """Return the model that a call is about: what it asks is looked at where there are several alone."""
        if self._repository.is_one:
            return self._repository.first
        largest = max((one.limits for one in self._repository.models), key=lambda limits: limits.body)
        message = wire.Message(decode(request, largest))
        one = self._repository.find(*(oip if service.startswith("inference.") else tfserving).asked(message))
        if len(request.body) > one.limits.message:
            raise RequestError(413, f"the message is larger than {one.limits.message} bytes")
        return one
