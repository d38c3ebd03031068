"""Threads that stay, for calls that only wait for the system: to start one takes longer than to wake it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
Answers = SimpleQueue[tuple[int, Exception | None]]


class ThreadPool(Generic[T]):
    """Does one kind of work on several items at a time.

    Args:
        size: how many threads there may be, beside those that ask.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._begin()
        os.register_at_fork(after_in_child=self._begin)  # threads do not survive a fork

    def _begin(self) -> None:
        self._todo: SimpleQueue[tuple[Callable[[T], None], int, T, Answers]] = SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[T], None], items: Sequence[T]) -> None:
        """Call `work` with each item, the first of them in this thread, and return when all calls have ended.

        Raises:
            Exception: what `work` raised for the first item that it raised for.
        """
        first, *others = items
        self._start(len(others))
        answers: Answers = SimpleQueue()
        for number, item in enumerate(others, 1):
            self._todo.put((work, number, item, answers))
        ended = {0: _attempt(work, first), **dict(answers.get() for _ in others)}  # in the order in which they end
        for number in range(len(items)):
            if (error := ended[number]) is not None:
                raise error

    def _start(self, wanted: int) -> None:
        with self._lock:
            while self._started < min(wanted, self._size):
                threading.Thread(target=self._serve, args=(self._todo,), daemon=True).start()
                self._started += 1

    def _serve(self, todo: SimpleQueue[tuple[Callable[[T], None], int, T, Answers]]) -> None:
        while True:
            work, number, item, answers = todo.get()
            answers.put((number, _attempt(work, item)))


def _attempt(work: Callable[[T], None], item: T) -> Exception | None:
    try:
        work(item)
    except Exception as exc:
        return exc
    return None
