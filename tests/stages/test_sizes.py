from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pytest

from modelyard.stages import sizes
from modelyard.stages.sizes import copies_in_memory, gzip_size


def packed(data: bytes) -> int:
    return len(gzip.compress(data, 9, mtime=0))


def test_the_size_after_gzip_is_that_of_gzip_file_by_file(tmp_path: Path) -> None:
    data = random.Random(0).randbytes(700_000) + b"abc" * 1_000_000  # more than is read at once
    (tmp_path / "one").write_bytes(data)
    assert gzip_size(tmp_path / "one") == packed(data)
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").write_bytes(data)
    (tmp_path / "saved" / "variables" / "variables.index").write_bytes(b"x")
    assert gzip_size(tmp_path / "saved") == packed(data) + packed(b"x")


@pytest.mark.parametrize("names", [("w",), ("a", "b", "c")])
def test_that_of_a_large_model_is_estimated_from_parts_of_it(
    tmp_path: Path, names: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "LARGE_MODEL_BYTES", 10**6)
    monkeypatch.setattr(sizes, "_PART_BYTES", 2**14)
    random_bytes = random.Random(0).randbytes
    data = {name: b"".join(random_bytes(3000) + bytes(2000) for _ in range(1000)) for name in names}
    for name, one in data.items():
        (tmp_path / name).write_bytes(one)
    (tmp_path / "small.json").write_bytes(b"{}")
    exact = sum(map(packed, data.values())) + packed(b"{}")
    assert gzip_size(tmp_path) == pytest.approx(exact, rel=0.02)
    assert gzip_size(tmp_path) == gzip_size(tmp_path) != exact


def test_no_more_copies_are_measured_with_than_half_of_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "memory_limit", lambda: 8 * 10**9)
    assert [copies_in_memory(size) for size in (10**9, 2 * 10**9, 50 * 10**9)] == [2, 1, 1]
    assert copies_in_memory(0) > copies_in_memory(10**6) >= 2000
