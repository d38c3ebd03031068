"""A property whose value is made when it is first asked for, once, however many threads ask at that time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - a decorator, as `functools.cached_property` is
    """Like `functools.cached_property`, with which two threads may each make a value from Python 3.12 on.

    As with that, the value is in the object's `__dict__` from then on: `"name" in vars(owner)` tells whether it was made.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self._lock, self._name = make, threading.RLock(), make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> T:
        made = vars(owner)
        with self._lock:
            if self._name not in made:
                made[self._name] = self._make(owner)
        value: T = made[self._name]
        return value
