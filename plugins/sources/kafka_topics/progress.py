"""How far a partition is done: in any order here, up to one number for the broker."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Progress:
    """The events of one partition that are held, and those done that wait for one before them.

    Attributes:
        number: that of the partition.
        is_ours: whether the partition is still this consumer's.
        is_paused: whether no more of it is taken.
        next: the offset before which all is done, None: nothing is known of any.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_ours, self.is_paused = True, False
        self.next: int | None = None
        self._done: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._done)

    def first_of(self, offsets: Collection[int]) -> list[int]:
        """Return those of `offsets` before which there is none that is held and not among them."""
        return list(itertools.takewhile(offsets.__contains__, self._done))

    def begin(self, offset: int) -> None:
        """The event at `offset` is held, the highest so far: a log may have gaps."""
        self._done[offset] = False

    def end(self, offset: int) -> None:
        """The event at `offset` is done."""
        self._done[offset] = True
        while self._done:
            first = next(iter(self._done))
            if not self._done[first]:
                return
            del self._done[first]
            self.next = first + 1
