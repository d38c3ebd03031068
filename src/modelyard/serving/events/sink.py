"""`POST /events`: events in, their answers out, with statuses that brokers which deliver over HTTP read rightly.

Knative tries again after 404, 408, 409, 429 and 500 to 599, and gives anything else of 400 to 499 to its sink for dead
letters at once: what will never be answered is 400, 413 or 415, what may be is 500 or 503, and nothing is 404 or 409.
"""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answers import compressed, failure, refusal_of
from ..body import is_small
from ..errors import RequestError
from ..messages import Response, error_response
from . import http
from .asking import Asking, Outcome
from .http import Mode
from .result import Results

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from ..engine import Engine, Samples
    from ..limits import Limits
    from ..messages import Request
    from ..metrics import Metrics
    from ..served import Served
    from .event import Event

METHODS = (b"allow", b"POST, OPTIONS")
ORIGIN = b"webhook-request-origin"
ACCEPTED = 202
_UNPACKING = -1
"""Stands for the number of an event while they are read."""
AT_A_TIME = 64
"""Events of one batch that wait for the model or are with it: the others of its queue have their turn."""


class Sink:
    """Answers what comes to `/events`."""

    def __init__(
        self,
        model: Served,
        source: str | None,
        limits: Limits,
        engine: Engine,
        metrics: Metrics,
        loop: AbstractEventLoop,
    ) -> None:
        self._limits, self._engine, self._metrics, self._loop = limits, engine, metrics, loop
        self._results = Results.of(model, source)

    def answer(self, request: Request, respond: Callable[[Response], None]) -> Callable[[], None] | None:
        """Answer by `respond`, now or later; if later, return what takes the request back.

        Raises:
            RequestError: it cannot be answered.
        """
        if request.method == "OPTIONS":
            respond(_permission(request))
            return None
        if request.method != "POST":
            respond(error_response(405, f"Method Not Allowed: {request.method} {request.path}", (METHODS,)))
            return None
        mode = http.read_mode(request)
        if mode is Mode.BATCH:
            return self._answer_batch(request, respond)
        work = self._asking(lambda: http.read_one(request, mode, self._limits), request, small=is_small(request))
        return self._engine.submit(work, lambda outcome: respond(self._answered(outcome, request, mode)))

    def _asking(self, read: Callable[[], Event], request: Request, *, small: bool) -> Asking:
        return Asking(read, self._results, self._limits, small=small, trace=request.trace)

    def _answered(self, outcome: Outcome, request: Request, mode: Mode) -> Response:
        self._metrics.event(outcome.name)
        if outcome.wrong is not None:
            return failure(outcome.wrong)
        if outcome.result is None or not _wants_reply(request):
            return Response(ACCEPTED, b"")
        return compressed(http.write_one(outcome.result, mode), request)

    def _answer_batch(self, request: Request, respond: Callable[[Response], None]) -> Callable[[], None]:
        small = is_small(request)

        def done(outcomes: list[Outcome] | RequestError) -> None:
            if isinstance(outcomes, RequestError):
                respond(failure(outcomes))
                return
            for outcome in outcomes:
                self._metrics.event(outcome.name)
            respond(self._answered_batch(outcomes, request))

        batch = Batch(lambda event: self._asking(lambda: event, request, small=small), self._engine, self._loop, done)
        batch.begin(Unpacking(request, self._limits, self._results.model.max_batch))
        return batch.take_back

    def _answered_batch(self, outcomes: list[Outcome], request: Request) -> Response:
        """Return one answer for all: what may work next time has the whole batch sent again, for it has one status."""
        wrong = [outcome.wrong for outcome in outcomes if outcome.wrong is not None and outcome.wrong.status >= 500]
        if wrong:
            return failure(max(wrong, key=lambda one: one.status))
        if not _wants_reply(request):
            return Response(ACCEPTED, b"")
        answers = [self._reply(outcome, request) for outcome in outcomes]
        return compressed(http.write_batch([event for event in answers if event is not None]), request)

    def _reply(self, outcome: Outcome, request: Request) -> Event | None:
        if outcome.wrong is None or outcome.event is None:
            return outcome.result
        return self._results.error(outcome.event, outcome.wrong, request.trace)


class Unpacking:
    """Has the events of a batch read where samples are, as `engine.Work` says: away from the event loop unless they are few."""

    timeout_s = None

    def __init__(self, request: Request, limits: Limits, most: int) -> None:
        self.small = is_small(request)
        self._request, self._limits, self._most = request, limits, most
        self._events: list[Event] = []

    def read(self) -> Samples:
        """Read the events, and return nothing to predict.

        Raises:
            RequestError: it is no batch, or it holds more than are taken.
        """
        self._events = http.read_batch(self._request, self._limits)
        if len(self._events) > self._most:
            raise RequestError(413, f"the batch holds {len(self._events)} events; at most {self._most} are taken")
        return {}

    def answer(self, _outputs: Samples) -> list[Event] | RequestError:
        """Return the events."""
        return self._events

    def refuse(self, exc: Exception) -> list[Event] | RequestError:
        """Return what is wrong with the batch."""
        wrong = refusal_of(exc)
        return RequestError(wrong.status, wrong.message)  # not what was raised, which holds on to all that was read


class Batch:
    """The events of one request: some at a time go to the model, and the others follow."""

    def __init__(
        self,
        asking: Callable[[Event], Asking],
        engine: Engine,
        loop: AbstractEventLoop,
        done: Callable[[list[Outcome] | RequestError], None],
    ) -> None:
        self._asking, self._engine, self._loop, self._done = asking, engine, loop, done
        self._at_a_time = min(AT_A_TIME, engine.max_queue)
        self._works: list[Asking] = []
        self._outcomes: list[Outcome | None] = []
        self._next = self._ended = 0
        self._take_back: dict[int, Callable[[], None]] = {}
        self._gone = False

    def begin(self, unpacking: Unpacking) -> None:
        """Have the events read."""
        take_back = self._engine.submit(unpacking, self._unpacked)
        if take_back is not None:
            self._take_back[_UNPACKING] = take_back

    def _unpacked(self, events: list[Event] | RequestError) -> None:
        self._take_back.pop(_UNPACKING, None)
        if isinstance(events, RequestError):
            self._gone = True
            self._done(events)
            return
        self._works = list(map(self._asking, events))
        self._outcomes = [None] * len(events)
        self.go_on()

    def go_on(self) -> None:
        """Give one more event to the model; between two, whoever else waits has a turn."""
        if self._gone:
            return
        if self._ended == len(self._works):
            self._gone = True
            self._done([outcome for outcome in self._outcomes if outcome is not None])
        elif self._next < len(self._works) and self._next - self._ended < self._at_a_time:
            number, self._next = self._next, self._next + 1
            take_back = self._engine.submit(self._works[number], lambda outcome: self._end(number, outcome))
            if take_back is not None:
                self._take_back[number] = take_back
            self._loop.call_soon(self.go_on)

    def take_back(self) -> None:
        """The client has gone: what is not begun is not done."""
        self._gone = True
        for take_back in self._take_back.values():
            take_back()

    def _end(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        self._ended += 1
        self._take_back.pop(number, None)
        self._loop.call_soon(self.go_on)


def _wants_reply(request: Request) -> bool:
    return "reply=none" not in request.query.split("&")


def _permission(request: Request) -> Response:
    """Return the answer to whoever asks whether events may be sent: yes, at any rate."""
    origin = request.headers.get(ORIGIN)
    if origin is None:
        return Response(200, b"", headers=(METHODS,))
    allowed = ((b"webhook-allowed-origin", origin), (b"webhook-allowed-rate", b"*"))
    return Response(200, b"", headers=(METHODS, *allowed))
