from __future__ import annotations

import fcntl
import gc
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.variants import latency
from modelyard.variants.latency import _turns, measure_latency

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

X = np.zeros((5, 2), np.uint8)


class Busy:
    """A predictor that takes some CPU time, and says what it was given and where it ran."""

    def __init__(self, work: int = 0, seen: Callable[[], object] = lambda: None) -> None:
        self.work, self.seen = work, seen
        self.opened_on = os.sched_getaffinity(0)

    def predict(self, raw: np.ndarray) -> np.ndarray:
        assert raw.shape[1:] == (2,)
        self.seen()
        sum(range(self.work))
        return np.array([[1, 0]] * len(raw), np.float32)


@given(st.integers(1, 20_000))
def test_turns_hold_every_call_once_and_are_six_or_more_if_that_is_possible(samples: int) -> None:
    turns = list(_turns(samples))
    assert [start for start, _ in turns] == [sum(n for _, n in turns[:i]) for i in range(len(turns))]
    assert sum(n for _, n in turns) == samples
    assert len(turns) >= min(samples, 6)
    assert len(turns) <= 41
    assert samples < 60 or min(n for _, n in turns[:-1]) >= 10


def test_a_model_that_does_twice_the_work_takes_twice_as_long_as_the_baseline() -> None:
    found = measure_latency(
        lambda: Busy(6000), {"input": X}, "probabilities", samples=400, warmup=5, open_baseline=lambda: Busy(3000)
    )
    assert found.ratio is not None
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    assert 1.6 < found.ratio.low <= found.ratio.p50 <= found.ratio.high < 2.4
    assert found.ratio.rounds == 40
    assert found.p99_high_ms is not None
    assert found.p99_high_ms >= found.p99_ms >= found.p50_ms


def test_what_a_sample_takes_in_a_batch_is_told_for_each_size_that_is_allowed() -> None:
    many = {"input": np.zeros((70, 2), np.uint8)}  # one call costs the same, however many samples it has
    found = measure_latency(lambda: Busy(20_000), many, "probabilities", samples=2, warmup=0).batch_ms

    assert list(found) == ["1", "4", "16", "64"]
    assert found["64"] < found["1"] / 8
    few = measure_latency(Busy, many, "probabilities", samples=2, warmup=0, at_once=1).batch_ms
    assert list(few) == ["1"]
    assert list(measure_latency(Busy, {"input": X}, "probabilities", samples=2, warmup=0).batch_ms) == ["1", "4"]


def test_models_are_opened_and_run_pinned_and_the_garbage_waits() -> None:
    opened: list[Busy] = []
    states: set[tuple[frozenset[int], bool]] = set()

    def open_model() -> Busy:
        opened.append(Busy(seen=lambda: states.add((frozenset(os.sched_getaffinity(0)), gc.isenabled()))))
        return opened[-1]

    before = os.sched_getaffinity(0)
    found = measure_latency(
        open_model, {"input": X}, "probabilities", samples=10, warmup=0, open_baseline=open_model, threads=1
    )
    assert found.host is not None
    assert [one.opened_on for one in opened] == [set(found.host.cpus)] * 2
    assert states == {(frozenset(found.host.cpus), False)}
    assert (os.sched_getaffinity(0), gc.isenabled()) == (before, True)
    assert found.host.cpu_model


def test_more_threads_than_cpus_use_all_there_are() -> None:
    found = measure_latency(Busy, {"input": X}, "probabilities", samples=2, warmup=0, threads=10_000)
    assert found.host is not None
    assert set(found.host.cpus) == os.sched_getaffinity(0)
    assert found.host.threads == 10_000


def test_a_model_that_fails_leaves_the_process_as_it_was() -> None:
    def fail() -> None:
        raise RuntimeError

    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError):
        measure_latency(lambda: Busy(seen=fail), {"input": X}, "probabilities", samples=2, warmup=0)
    assert (os.sched_getaffinity(0), gc.isenabled()) == (before, True)


def test_a_system_that_forbids_pinning_is_measured_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", forbid)
    found = measure_latency(Busy, {"input": X}, "probabilities", samples=2, warmup=0)
    assert found.host is not None
    assert found.host.cpus == ()


def test_only_one_measures_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "latency.lock"
    ended: list[float] = []
    waiting = threading.Thread(
        target=lambda: (
            measure_latency(Busy, {"input": X}, "probabilities", samples=2, warmup=0, lock=lock),
            ended.append(time.monotonic()),
        )
    )
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive()
        let_go = time.monotonic()
    waiting.join(timeout=60)
    assert ended[0] >= let_go


def test_a_machine_without_a_governor_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(latency, "Path", lambda _: tmp_path / "nothing")
    assert latency._governor(0) is None
