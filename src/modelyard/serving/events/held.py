"""An event that was taken, and how much of that is taken on."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from .source import D, Ending

if TYPE_CHECKING:
    from .event import Event

LONGEST_S = 60.0
"""How long an event rests at most, in seconds."""


@dataclass(frozen=True)
class Patience:
    """How much is taken on, and how often it is tried.

    Attributes:
        in_flight: events that are held at a time.
        attempts: how often one is tried that may work next time, and handed out before it is put aside untried.
        retry_s: how long it rests after the first time, in seconds; each time twice as long, at most `LONGEST_S`.
        lease_s: how long the broker waits for a word about an event, in seconds.
        order: `none`, or `key`: those with the same partition key one after another, however often one is tried.
        once: whether it ends by itself when there is nothing more.
    """

    in_flight: int = 64
    attempts: int = 5
    retry_s: float = 1.0
    lease_s: float = 30.0
    order: str = "none"
    once: bool = False

    def rest_s(self, attempt: int) -> float:
        """Return how long an event rests after it failed for the `attempt`th time, in seconds."""
        return float(min(LONGEST_S, self.retry_s * 2 ** min(attempt - 1, 16)) * random.uniform(0.8, 1.2))


@dataclass(eq=False, slots=True)
class Held(Generic[D]):
    """An event that was taken and of which the broker does not know yet what became.

    Attributes:
        delivery: the event.
        taken: when it was taken, on the loop's clock.
        key: what it has in common with those that it must not overtake; None: it may overtake all.
        attempt: how often it was handed out, and tried here again.
        rests: whether it waits here to be tried again.
        outcome: what it is counted as, once that is known.
        event: as it was read, if it could be.
        ending: what the broker is to be told.
    """

    delivery: D
    taken: float
    key: str | None
    attempt: int
    rests: bool = False
    outcome: str = ""
    event: Event | None = None
    ending: Ending[D] = field(init=False)
