from __future__ import annotations

import threading

import pytest

from modelyard.concurrency.deadlines import within


def test_work_that_does_not_end_is_left_behind() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, never.wait)
    never.set()


def test_what_work_returns_or_raises_is_passed_on() -> None:
    assert within(30, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 // 0)
