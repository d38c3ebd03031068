"""Wait for a stage that runs elsewhere: the store says what became of it, the executor only whether to go on waiting."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelyard.build.placement import called
from modelyard.errors import ModelyardError, StageFailed, StoreError, ToolError
from modelyard.execution.request import Answer, StageRequest, answer_name
from modelyard.files.json import decode
from modelyard.store.objects import Listed
from modelyard.store.record import read_trace, trace_name

if TYPE_CHECKING:
    from modelyard.executors import Executor, Job, State
    from modelyard.store.remote import Remote

LOOK_S = 0.1, 5.0
"""How long to wait before a job is looked at for the second time, and at most."""
LOST_AFTER_S = 60.0
"""How long a job may be unknown to its executor, or the executor or the store out of reach, until nobody waits any more."""


class Follower:
    """Starts the jobs of one executor, and follows each to its end.

    Args:
        executor: the executor.
        name: what to call it.
        remote: where its machines write what came of a stage.
        tell: called with a line for the person at the terminal.
    """

    def __init__(self, executor: Executor, name: str, remote: Remote, tell: Callable[[str], None]) -> None:
        self._executor, self._name, self._remote, self._tell = executor, name, remote, tell
        self._live: set[str] = set()
        self._closing = threading.Event()

    def start(self, job: Job) -> None:
        """Have the job run; one that an earlier build started, and that still runs, is the one.

        Raises:
            ModelyardError: the executor or the store says no.
        """
        if self._state(job.name) not in ("queued", "running"):
            self._forget(job.name)  # an answer that an earlier build was killed over
        self._live.add(job.name)
        called(self._name, "submit", lambda: self._executor.submit(job))

    def follow(self, request: StageRequest, hear: Callable[[State], None]) -> Answer | None:
        """Wait for the end of a job that was started, and return its answer.

        Args:
            request: what it was asked.
            hear: called with what the executor knows of it, when that changes.

        Returns:
            The answer; None if there is none, and no result either: its machine went away.

        Raises:
            ModelyardError: the build ends, or the executor or the store could not be reached for a while.
        """
        wait_s, reached, heard = LOOK_S[0], time.monotonic(), ""
        trouble: ModelyardError | None = None
        while True:
            state, trouble = self._look(request.job)
            try:
                answer = answer_of(request, self._remote)
            except StoreError as exc:
                answer, state, trouble = None, "unknown", exc
            if answer is not None or state == "ended":
                return self._ended(request, answer)
            if state != "unknown":
                reached = time.monotonic()
            elif time.monotonic() - reached > LOST_AFTER_S:
                self._give_up(request, trouble)
                return None
            if state != heard:
                hear(state)
                heard = state
            if self._closing.wait(wait_s):
                msg = f"{request.stage}: was cancelled, as this build ended"
                raise StageFailed(msg)
            wait_s = min(1.3 * wait_s, LOOK_S[1])

    def _look(self, job: str) -> tuple[State, ModelyardError | None]:
        try:
            return self._state(job), None
        except ToolError as exc:
            return "unknown", exc

    def _state(self, job: str) -> State:
        state: State = called(self._name, "state", lambda: self._executor.state(job))
        return state

    def _ended(self, request: StageRequest, answer: Answer | None) -> Answer | None:
        """Return the answer of a job that has ended; it may have come between the two looks."""
        answer = answer or answer_of(request, self._remote)
        self._live.discard(request.job)
        with contextlib.suppress(StoreError):
            self._forget(request.job)
        return answer

    def _give_up(self, request: StageRequest, trouble: ModelyardError | None) -> None:
        """Give a job up that its executor does not know; leave one alone of which nothing can be heard."""
        if trouble is None:
            self._cancel(request.job)
        self._live.discard(request.job)
        if trouble is not None:
            msg = (
                f"{request.stage}: nothing was heard of it for {LOST_AFTER_S:.0f} s: {trouble}\n"
                "  a job that goes on is found by the next `doit`, and so is its result"
            )
            raise StageFailed(msg)

    def _forget(self, job: str) -> None:
        self._remote.remove([Listed(answer_name(job), 0, 0.0)])

    def _cancel(self, job: str) -> None:
        try:
            called(self._name, "cancel", lambda: self._executor.cancel(job))
        except ToolError as exc:
            self._tell(f"warning: {exc}")

    def close(self) -> None:
        """Cancel what still runs: whoever ends a build does not want it. After `kill -9`, jobs go on and are found again."""
        self._closing.set()
        for job in sorted(self._live):
            self._cancel(job)


def answer_of(request: StageRequest, remote: Remote) -> Answer | None:
    """Return what the store says of the stage: an answer, or else a result that is there.

    Raises:
        StoreError: it cannot be reached.
    """
    with contextlib.suppress(ValueError):  # it is being written
        data = remote.load(answer_name(request.job))
        answer = decode(data, Answer) if data else None
        if answer is not None and answer.key == request.key:
            return answer
    if request.force:
        return None  # what is there may be what was there before
    with contextlib.suppress(ValueError):
        data = remote.load(trace_name(request.key))
        if data and read_trace(data, request.key):
            return Answer(key=request.key)
    return None
