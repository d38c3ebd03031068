"""What is behind the connections for gRPC: services and their methods; the password and the notes are those of HTTP."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..answers import failure
from ..errors import RequestError
from ..messages import Response
from .health import Health
from .oip import Inference
from .tfserving import ModelStatus, Prediction

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from ..app import App
    from ..engine import Engine, Work
    from ..limits import Limits
    from ..messages import Request
    from ..served import Served
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
        model: Served,
        engine: Engine,
        limits: Limits,
        is_ready: Callable[[], bool],
        loop: AbstractEventLoop,
    ) -> None:
        self.max_message_bytes = limits.message
        self._app, self._engine = app, engine
        self._services: dict[str, Methods] = {
            "inference.GRPCInferenceService": Inference(model, limits, is_ready),
            "tensorflow.serving.PredictionService": Prediction(model, limits),
            "tensorflow.serving.ModelService": ModelStatus(model, limits),
        }
        self._health = Health((*self._services, model.name), is_ready, loop)
        self._services[Health.NAME] = self._health

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
            answer = self._route(request)
        except Exception as exc:
            answer = failure(exc)
        if isinstance(answer, Response):
            connection.respond(stream, answer)
        else:
            stream.take_back = self._engine.submit(answer, lambda response: connection.respond(stream, response))

    def closing(self) -> bool:
        """Return whether clients are asked to leave."""
        return self._app.closing()

    def answered(self, request: Request | None, status: int, duration_s: float, peer: str) -> None:
        """Count and log an answer; None: to what is no call."""
        self._app.answered(request, status, duration_s, peer)

    def _route(self, request: Request) -> Response | Work[Response]:
        _, _, rest = request.path.partition("/")
        name, _, method = rest.partition("/")
        service = self._services.get(name)
        if service is None:
            raise RequestError(405, f"unknown service {name!r}; served: {', '.join(self._services)}")
        return service.answer(method, request)
