"""A few things at a time, in threads: transfers, which wait for the network more than they compute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_AT_ONCE = 8


def in_parallel(work: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Return what `work` returns for each item, a few at a time; `work` must end by itself.

    Raises:
        BaseException: what `work` raised for one of them.
    """
    todo = list(enumerate(items))
    found: dict[int, T] = {}
    errors: list[BaseException] = []

    def run() -> None:
        while todo and not errors:
            try:
                number, item = todo.pop()
            except IndexError:  # another thread took the last one
                return
            try:
                found[number] = work(item)
            except BaseException as exc:  # it is raised again below
                errors.append(exc)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(_AT_ONCE, len(todo)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [found[number] for number in sorted(found)]
