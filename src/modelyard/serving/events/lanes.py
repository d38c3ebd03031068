"""Events of one key are worked at one after another, each when the broker knows what became of the one before."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """A lane for each key; what has no key has the road to itself."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[T]] = {}

    def enter(self, key: str | None, one: T) -> bool:
        """Return whether `one` may begin now; otherwise `leave` returns it later."""
        if key is None:
            return True
        lane = self._lanes.setdefault(key, deque())
        lane.append(one)
        return len(lane) == 1

    def leave(self, key: str | None) -> T | None:
        """Return what follows the first of the lane `key`, which is done; None: nothing does."""
        if key is None:
            return None
        lane = self._lanes[key]
        lane.popleft()
        if lane:
            return lane[0]
        del self._lanes[key]
        return None
