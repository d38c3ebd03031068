"""Work that may never end by itself, waited for only so long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """Return what `work` returns.

    Raises:
        TimeoutError: it did not end within `limit_s` seconds; its thread is left behind.
    """
    answer: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(), None))
        except BaseException as exc:  # it is raised again where it is waited for
            answer.put((None, exc))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = answer.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
