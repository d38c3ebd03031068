"""How much a request may take: the bounds, to the byte, and what the control group says."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from modelyard.serving import limits
from modelyard.serving.errors import RequestError
from modelyard.serving.limits import FREELY_BYTES, Limits, sample_text_bytes, values_limit
from modelyard.serving.shares import MIB
from modelyard.serving.tensors import TensorSpec


@pytest.mark.parametrize(
    ("dtype", "digits"),
    [("float32", 25), ("float64", 25), ("bool", 5), ("uint8", 3), ("int8", 4), ("int32", 11), ("int64", 20)],
)
def test_a_sample_takes_its_longest_numbers_with_what_stands_between_them(dtype: str, digits: int) -> None:
    assert sample_text_bytes(TensorSpec("input", np.dtype(dtype), (2, 3))) == 6 * (digits + 2) * 2


def test_the_largest_batch_fits_even_if_it_is_indented() -> None:
    shape = (28, 28)
    spec = TensorSpec("input", np.dtype("int8"), shape)
    text = json.dumps({"instances": np.full((4, *shape), -128).tolist()}, indent=1)
    bound = Limits.of([spec], 4, 1 << 40, 1).body
    assert bound == 4 * sample_text_bytes(spec) + MIB
    assert len(text) < bound
    assert Limits.of([spec], 4, 1000, 1) == Limits(1000, 1, 1000), "whatever it holds"
    assert Limits.of([spec], 4, 1 << 40, 1).message == 4 * 28 * 28 * 10 + MIB


def test_a_compressed_body_may_grow_to_a_mebibyte_or_64_times_its_size_and_never_beyond_the_bound() -> None:
    bounds = Limits(10 * MIB)
    assert [bounds.inflated(sent) for sent in (1, 16384, 16385, MIB)] == [MIB, MIB, 64 * 16385, 10 * MIB]
    assert bounds.values == 128 * MIB


def test_a_text_is_counted_by_what_its_values_take() -> None:
    text = b"[" + b"1," * FREELY_BYTES + b"1]"
    needs = 3 * len(text) + 104 + 56 * FREELY_BYTES
    Limits(MIB, needs).check_text(text)
    with pytest.raises(RequestError, match=f"would take {needs // MIB} MiB of memory; at most {needs // MIB} MiB"):
        Limits(MIB, needs - 1).check_text(text)


@pytest.mark.parametrize(
    ("free_mib", "cpus", "values_mib"),
    [(128, 1.0, 64), (4096, 1.0, 128), (4096, 16.0, 128), (4096, 0.5, 64), (100, 0.5, 50)],
)
def test_values_take_half_of_the_free_memory_and_no_longer_than_a_probe_waits(
    free_mib: int, cpus: float, values_mib: int
) -> None:
    assert values_limit(free_mib * MIB, cpus) == values_mib * MIB


@pytest.mark.parametrize(("mark", "cost"), [(",", 56), ("[", 104), ("{", 240), (":", 120), ('"', 30)])
def test_each_mark_has_its_cost(mark: str, cost: int) -> None:
    text = mark.encode() * (FREELY_BYTES + 1)
    needs = (3 + cost) * len(text)
    Limits(MIB, needs).check_text(text)
    with pytest.raises(RequestError):
        Limits(MIB, needs - 1).check_text(text)


def test_a_small_text_is_not_counted() -> None:
    Limits(MIB, 0).check_text(b"{" * FREELY_BYTES)
    with pytest.raises(RequestError) as caught:
        Limits(MIB, 0).check_text(b"{" * (FREELY_BYTES + 1))
    assert caught.value.status == 413


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /sys/fs/cgroup; `self` in it says which group this process is in."""
    (tmp_path / "self").write_text("5:cpu,cpuacct:/old\n4:memory:/old\n0::/pod:1/one\n")

    def place(*parts: str) -> Path:
        if parts == ("/proc/self/cgroup",):
            return tmp_path / "self"
        return tmp_path.joinpath(*parts[1:]) if parts[0] == "/sys/fs/cgroup" else Path(*parts)

    monkeypatch.setattr(limits, "Path", place)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8) if pid == 0 else ())
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "memory", "cpus"),
    [
        ({}, None, 8),
        ({"memory.max": "1000\n", "cpu.max": "150000 100000\n"}, 1000, 1.5),
        ({"pod:1/one/memory.max": "2000\n", "memory.max": "1\n", "pod:1/one/cpu.max": "400000 100000\n"}, 2000, 4),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n"}, None, 8),
        ({"cpu.max": "1600000 100000\n"}, None, 8),
        ({"cpu.max": "150000\n"}, None, 8),
        ({"memory.max": f"{(1 << 50) - 1}\n"}, (1 << 50) - 1, 8),
        ({"memory/old/memory.limit_in_bytes": "3000\n"}, 3000, 8),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None, 8),
        ({"memory/memory.limit_in_bytes": f"{1 << 50}\n"}, None, 8),
        ({"cpu/old/cpu.cfs_quota_us": "50000\n", "cpu/old/cpu.cfs_period_us": "100000\n"}, None, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, 8),
    ],
)
def test_what_the_control_group_allows(files: dict[str, str], memory: int | None, cpus: float, groups: Path) -> None:
    for name, text in files.items():
        write(groups, name, text)
    assert limits.memory_limit() == memory
    assert limits.cpu_limit() == cpus


def test_a_process_whose_group_cannot_be_read_takes_the_root(groups: Path) -> None:
    (groups / "self").unlink()
    write(groups, "memory.max", "1000\n")
    assert limits.memory_limit() == 1000


def test_what_the_process_holds_is_in_bytes() -> None:
    before = limits.resident_bytes()
    reserved = mmap.mmap(-1, 512 * MIB)
    held = bytearray(64 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    assert 48 * MIB < limits.resident_bytes() - before < 128 * MIB, "what is reserved is not held"
    reserved.close()
