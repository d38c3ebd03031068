"""A value that is made once, whoever asks for it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from modelyard.concurrency.once import once


class Owner:
    def __init__(self) -> None:
        self.made = 0
        self.together = threading.Barrier(8)

    @once
    def value(self) -> list[int]:
        """What is made."""
        time.sleep(0.05)  # long enough for the others to ask
        self.made += 1
        return [self.made]


def test_threads_that_ask_at_the_same_time_get_one_value() -> None:
    owner = Owner()
    assert "value" not in vars(owner)

    def ask(_: int) -> int:
        owner.together.wait(10)
        return id(owner.value)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert (owner.made, owner.value, "value" in vars(owner)) == (1, [1], True)


def test_each_owner_has_its_own() -> None:
    one, two = Owner(), Owner()
    assert one.value is not two.value
