"""A source of events that has none, to be made of what a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Quiet:
    """A source that hands nothing out, and takes whatever it is told."""

    rests = True

    async def open(self) -> None:
        pass

    async def take(self, most: int) -> Sequence[Any]:
        return []

    async def settle(self, endings: Sequence[Any]) -> Sequence[Exception | None]:
        return [None] * len(endings)

    async def keep(self, deliveries: Sequence[Any]) -> None:
        pass

    async def close(self) -> None:
        pass
