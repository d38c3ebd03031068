"""One event, on its way through the model."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..answers import refusal_of
from ..errors import RequestError
from . import payload
from .event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import Samples
    from ..limits import Limits
    from ..served import Served
    from ..trace import Trace
    from .result import Results


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event.

    Attributes:
        event: as it was read; None: it could not be.
        result: the event that answers it; None: it has expired, or there is something wrong.
        wrong: what is wrong, with a status: 400 and above will be so next time, 500 and above may not.
    """

    event: Event | None
    result: Event | None = None
    wrong: RequestError | None = None

    @property
    def name(self) -> str:
        """What it is counted as."""
        if self.wrong is None:
            return "expired" if self.result is None else "done"
        if self.wrong.status < 500:
            return "unprocessable"
        return "returned" if self.wrong.status == 503 else "failed"


class Expired(Exception):
    """Nobody waits for the answer any more."""


class Asking:
    """Has one event answered, as `engine.Work` says.

    `read_event` is called where the samples are read, so that a large event is read away from the event loop.
    """

    timeout_s: float | None = None

    def __init__(
        self,
        read_event: Callable[[], Event],
        results: Results,
        limits: Limits,
        *,
        small: bool,
        trace: Trace | None = None,
    ) -> None:
        self.small = small
        self._read_event, self._results, self._limits, self._trace = read_event, results, limits, trace
        self._event: Event | None = None

    @property
    def _model(self) -> Served:
        return self._results.model

    def read(self) -> Samples:
        """Return the raw samples by input, each of shape `(N, *shape)`.

        Raises:
            RequestError, TensorError: it is no event that the model can answer.
            Expired: its time is over.
        """
        event = self._read_event()
        self._event = Event(event.attributes)  # what it holds is not kept until it is answered
        if event.has_expired():
            raise Expired
        if self._results.is_own(event):
            raise RequestError(400, f"the event is an answer of {self._results.source!r} itself: it would go round")
        self._asked = payload.read(event, self._model, self._limits)
        self.timeout_s = self._asked.timeout_s
        return self._asked.samples

    def answer(self, outputs: Samples) -> Outcome:
        """Return the outcome that carries `outputs`, by name, each of shape `(N, *shape)`."""
        assert self._event is not None
        data = self._asked.answer(outputs)
        return Outcome(self._event, self._results.result(self._event, data, self._trace))

    def refuse(self, exc: Exception) -> Outcome:
        """Return the outcome that says what went wrong."""
        if isinstance(exc, Expired):
            return Outcome(self._event)
        wrong = refusal_of(exc)
        # Not the error that was raised: it holds on, by its traceback, to all that was read, in a circle with the job.
        return Outcome(self._event, wrong=RequestError(wrong.status, wrong.message))
