"""A server that was started, before it is known whether it gets ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Started:
    """A server that was started.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
        how: where it runs, for people: `container` or `image files`.
        is_alive: tells whether it still runs.
        stats: gives what the engine says of its container; None: it runs in none.
    """

    url: str
    how: str
    is_alive: Callable[[], bool]
    stats: Callable[[], Mapping[str, Any]] | None = None
