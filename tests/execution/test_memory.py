from __future__ import annotations

import mmap
import os
import tempfile
import time

import pytest

from modelyard.execution.memory import MemoryWatch

MIB = 2**20


def test_what_is_mapped_from_a_file_does_not_count_and_what_is_taken_does() -> None:
    watch = MemoryWatch(os.getpid())
    with tempfile.TemporaryFile(dir="/var/tmp") as file:  # not in memory, as /tmp may be
        file.truncate(64 * MIB)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            sum(mapped[:: mmap.PAGESIZE])
            watch.look()
    before = watch.peak_bytes(0)
    taken = b"x" * (64 * MIB)
    watch.look()
    assert watch.peak_bytes(0) >= before + len(taken) - MIB
    assert watch.peak_bytes(10**12) < 10**12 - 64 * MIB, "what is mapped is taken off what the kernel says"


def test_a_young_process_is_looked_at_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[-1])
    watch = MemoryWatch(os.getpid())
    monkeypatch.setattr(watch, "look", lambda: looks.append(clock[-1]))
    for now_s, again_s in ((100.004, 0.004), (100.4, 0.02), (100.41, 0.01), (200.0, 0.1)):
        clock.append(now_s)
        watch.look_when_due()
        assert abs(watch.look_again_s() - again_s) < 1e-6
    assert looks == [100.4, 200.0]
    clock.append(300.0)
    assert watch.look_again_s() == 0


def test_a_process_that_is_gone_took_what_the_kernel_says() -> None:
    watch = MemoryWatch(2**30)
    watch.look()
    assert watch.peak_bytes(5 * MIB) == 5 * MIB
