"""Runs predictions: a short one at once, a long one away from the event loop, those that wait together."""

from __future__ import annotations

import asyncio
import collections
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from .errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .metrics import Predictions
    from .model import Predictor
    from .sequences import Sequences, Step

AT_ONCE_S = 0.001
"""A prediction that takes no longer is made on the event loop: the way to a thread and back costs a good part of it."""
REST_S = 0.05
"""How long nothing is read on the event loop after small requests that took longer than that: many may come at once."""
SLOW = 2
"""So many of them in a row: a single one may have been kept from its processor, and to ask for its own time costs more."""
LONG_S = 0.005
"""The thread's own time after which it gives way to the event loop, and answers before it reads another request."""
PASSES = 8
"""How often the event loop goes round from a connection that comes to its answer, and a little more."""
WAY_S = 0.1
"""How long the thread gives way, at most."""
EVERY_S = 0.5
Samples = Mapping[str, "NDArray[Any]"]
"""Tensors by name, each with as many samples as the others."""
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


class Work(Protocol[A_co]):
    """A request to predict, as a protocol reads and answers it."""

    small: bool
    """Whether reading it takes well below a millisecond."""

    @property
    def timeout_s(self) -> float | None:
        """How long it may wait by its own word, in seconds, known once it is read; None: it does not say."""
        ...

    def read(self) -> Samples:
        """Return the raw samples by input, in the order of the model's facts, each of shape `(N, *shape)`.

        None at all: there is nothing to predict, and the answer carries no outputs.
        """
        ...

    def answer(self, outputs: Samples) -> A_co:
        """Return the answer that carries `outputs`, by name, each of shape `(N, *shape)`."""
        ...

    def refuse(self, exc: Exception) -> A_co:
        """Return the answer that says what went wrong."""
        ...


@dataclass(frozen=True)
class Pace:
    """How the model is asked.

    Attributes:
        sample_s: how long one sample takes, in seconds; None: it is not known to be always so.
        together: how many samples of several requests are predicted at once; 1: each request by itself.
        max_queue: requests that may wait.
        queue_s: how long one may wait, in seconds.
    """

    sample_s: float | None = None
    together: int = 1
    max_queue: int = 256
    queue_s: float = 30.0


@dataclass(eq=False, slots=True)
class Job:
    """A request that waits or is worked at; `reply` is called on the event loop. Times are on the loop's clock.

    Once it is read, it holds `size` samples, and `step` says of which sequence they are.
    """

    work: Work[Any]
    reply: Callable[[Any], None]
    arrived: float = 0.0
    deadline: float = 0.0
    samples: Samples | None = None
    size: int = 0
    step: Step | None = None
    response: Any = None


class Engine:
    """A model and the thread in which it predicts; requests that come meanwhile wait, up to a limit.

    Attributes:
        max_queue: how many may wait.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: Predictions,
        pace: Pace,
        loop: asyncio.AbstractEventLoop,
        sequences: Sequences | None = None,
    ) -> None:
        self._predictor, self._metrics, self._pace, self._loop = predictor, metrics, pace, loop
        self._sequences = sequences
        self.max_queue = pace.max_queue
        self._waiting: dict[Job, None] = {}
        self._pending = 0
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._answered: collections.deque[Job] = collections.deque()
        self._is_told = False
        self._reads_here, self._slow = pace.sample_s is not None, 0
        self._way = threading.Event()
        self._thread = threading.Thread(target=self._work, name="predict", daemon=True)
        self._thread.start()
        self._sweep()

    def submit(self, work: Work[A], reply: Callable[[A], None]) -> Callable[[], None] | None:
        """Have `work` done, and `reply` called with the answer; if that is later, return what takes it back."""
        job = Job(work, reply)
        if work.small and self._reads_here and not self._pending and self._at_once(job):
            return None
        if self._pending > self._pace.max_queue:
            msg = f"{self._pending} requests wait already; try again later"
            reply(work.refuse(Overloaded(msg)))
            return None
        job.arrived = self._loop.time()
        job.deadline = job.arrived + self._pace.queue_s
        self._pending += 1
        self._waiting[job] = None
        self._queue.put(job)
        return lambda: self._take_back(job)

    def close(self) -> None:
        """End the thread, after the prediction that runs."""
        self._queue.put(None)
        self._thread.join()

    # On the event loop.

    def _at_once(self, job: Job) -> bool:
        """Answer a small request here and now, unless its samples are many; return whether it is answered."""
        assert self._pace.sample_s is not None
        start = time.perf_counter()
        is_read = self._read(job)
        self._slow = self._slow + 1 if time.perf_counter() - start > AT_ONCE_S else 0
        if self._slow >= SLOW:
            self._reads_here = False
            self._loop.call_later(REST_S, self._read_here)
        if is_read and job.size * self._pace.sample_s > AT_ONCE_S:
            return False
        self._predict([job] if job.samples is not None else [])
        assert job.response is not None
        job.reply(job.response)
        return True

    def _read_here(self) -> None:
        self._reads_here = True

    def _take_back(self, job: Job) -> None:
        """The client has gone: what is not begun is not done."""
        if self._claim(job):
            self._pending -= 1

    def _sweep(self) -> None:
        """Refuse those that have waited for too long, now and every `EVERY_S` seconds."""
        now = self._loop.time()
        for job in [job for job in list(self._waiting) if job.deadline <= now]:
            if self._claim(job):
                self._pending -= 1
                msg = f"the request waited for {self._pace.queue_s:g} s; try again later"
                job.reply(job.work.refuse(Overloaded(msg)))
        self._loop.call_later(EVERY_S, self._sweep)

    def _done(self) -> None:
        """Hand out all answers that the thread has by now."""
        self._is_told = False  # before it looks: what the thread adds later is told anew
        while self._answered:
            job = self._answered.popleft()
            self._pending -= 1
            assert job.response is not None
            job.reply(job.response)

    def _pass(self, left: int) -> None:
        """Go round `left` times, then let the thread go on."""
        if left:
            self._loop.call_soon(self._pass, left - 1)
        else:
            self._way.set()

    # In the thread.

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            start = time.thread_time()
            jobs = self._together(first, start)
            self._predict([job for job in jobs if job.response is None])
            self._answered.extend(jobs)
            if jobs and not self._is_told:  # to wake the loop costs more than a short prediction
                self._is_told = True
                self._loop.call_soon_threadsafe(self._done)
            if time.thread_time() - start > LONG_S:
                self._give_way()

    def _give_way(self) -> None:
        """Let the event loop do first what has come meanwhile.

        The interpreter is one thread's at a time. The loop lets go of it whenever it asks the system, a dozen times for an
        answer, and each time would wait for a parser that holds it for as long as a large text takes.
        """
        self._way.clear()
        self._loop.call_soon_threadsafe(self._pass, PASSES)
        self._way.wait(WAY_S)

    def _together(self, first: Job, start: float) -> list[Job]:
        """Return `first` and those that wait behind it, as many as are predicted together, and read them.

        There are fewer if reading them has taken long since `start`, on the thread's own clock.
        """
        jobs, samples, job = [], 0, first
        while True:
            if self._claim(job):
                waited_s = self._loop.time() - job.arrived
                jobs.append(job)
                if self._read(job) and not self._is_late(job, waited_s):
                    samples += job.size
            if samples >= self._pace.together or not job.work.small or time.thread_time() - start > LONG_S:
                return jobs
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return jobs
            if following is None:
                self._queue.put(None)  # the end is for later
                return jobs
            job = following

    def _is_late(self, job: Job, waited_s: float) -> bool:
        """Refuse a request that has waited for longer than it says; return whether it has."""
        limit_s = job.work.timeout_s
        if limit_s is None or waited_s <= limit_s:
            return False
        msg = f"the request waited for {waited_s:.3g} s, longer than its timeout of {limit_s:g} s; try again later"
        job.response = job.work.refuse(Overloaded(msg))
        return True

    # In either.

    def _claim(self, job: Job) -> bool:
        """Return whether the request was still waiting; of the loop and the thread, only one gets it."""
        try:
            del self._waiting[job]
        except KeyError:
            return False
        return True

    def _read(self, job: Job) -> bool:
        """Read a request's samples, or note what is wrong with them; return whether there are some."""
        if job.samples is None and job.response is None:
            try:
                samples = job.work.read()
                if samples:
                    job.samples, job.size = samples, len(next(iter(samples.values())))
                    if self._sequences is not None:
                        job.step = getattr(job.work, "step", None)  # most protocols know no sequences
                else:
                    job.response = job.work.answer(samples)
            except Exception as exc:
                job.response = job.work.refuse(exc)
        return job.samples is not None

    def _predict(self, jobs: list[Job]) -> None:
        """Predict and answer `jobs`: those of one shape at once if that works, else each by itself, with its own failure."""
        if self._sequences is not None:
            for some in _apart(jobs):
                for job in some:
                    self._go_on(job, self._sequences)
                self._predict_some([job for job in some if job.response is None])
            return
        self._predict_some(jobs)

    def _predict_some(self, jobs: list[Job]) -> None:
        if len(jobs) < 2:
            self._predict_each(jobs)
            return
        for alike in _alike(jobs):
            if len(alike) < 2 or not self._predict_together(alike):
                self._predict_each(alike)

    def _predict_each(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.response is None:
                try:
                    assert job.samples is not None
                    self._answer(job, self._run(job.samples, job.size))
                except Exception as exc:
                    job.response = job.work.refuse(exc)

    def _predict_together(self, jobs: list[Job]) -> bool:
        """Predict and answer jobs of one shape at once; return whether that worked."""
        try:
            parts = [job.samples for job in jobs if job.samples is not None]
            size = sum(job.size for job in jobs)
            found = self._run({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, size)
            start = 0
            for job in jobs:
                end = start + job.size
                self._answer(job, {name: array[start:end] for name, array in found.items()})
                start = end
        except Exception:
            return False
        return True

    def _go_on(self, job: Job, sequences: Sequences) -> None:
        """Put what is kept of a job's sequence among its samples."""
        if job.step is not None and job.response is None:
            try:
                assert job.samples is not None
                job.samples = sequences.given(job.step, job.samples, job.size)
            except Exception as exc:
                job.response = job.work.refuse(exc)

    def _answer(self, job: Job, found: Samples) -> None:
        """Write the answer to a job, and only then keep what it left: a step without an answer may be sent again."""
        if self._sequences is None or job.step is None:
            job.response = job.work.answer(found)
            return
        answers, left = self._sequences.split(found)
        job.response = job.work.answer(answers)
        self._sequences.keep(job.step, left)

    def _run(self, samples: Samples, size: int) -> Samples:
        start = time.perf_counter()
        try:
            return self._predictor.run(samples)
        finally:
            self._metrics.inference(size, time.perf_counter() - start)


def _apart(jobs: list[Job]) -> list[list[Job]]:
    """Return `jobs` in their order, in lists that hold no two steps of one sequence: each goes on from the one before."""
    found: list[list[Job]] = [[]]
    seen: set[int | str] = set()
    for job in jobs:
        if job.step is not None and job.step.id in seen:
            found.append([])
            seen.clear()
        if job.step is not None:
            seen.add(job.step.id)
        found[-1].append(job)
    return found


def _alike(jobs: list[Job]) -> list[list[Job]]:
    """Return `jobs` in groups whose samples have one shape, in the order of their first."""
    found: dict[tuple[tuple[int, ...], ...], list[Job]] = {}
    for job in jobs:
        assert job.samples is not None
        found.setdefault(tuple([array.shape[1:] for array in job.samples.values()]), []).append(job)
    return list(found.values())
