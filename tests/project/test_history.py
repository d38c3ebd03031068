from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.project import history
from modelyard.project.history import History
from modelyard.store.record import Record


def record(number: int, **more: Any) -> Record:
    return Record(stage="train:x", key=f"{number:064x}", digest="d", outputs={}, **more)


@pytest.fixture
def results(tmp_path: Path) -> History:
    return History(tmp_path / "train" / "x.jsonl")


def numbers(results: Any) -> list[int]:
    return [int(entry.key, 16) for entry in results.entries()]


def test_keeps_the_order(results: History) -> None:
    for number in (1, 2, 1):
        results.add(record(number, duration_s=number), "built")
    assert numbers(results) == [1, 2, 1]
    assert results.durations() == [1, 2, 1]


def test_only_what_was_built_has_a_duration(results: History) -> None:
    results.add(record(1, duration_s=3.0), "built")
    results.add(record(1, duration_s=3.0), "restored")
    assert results.durations() == [3.0]


@pytest.mark.parametrize("keep", [1, 20, 60])
def test_a_torn_line_costs_nothing_but_itself(results: History, tmp_path: Path, keep: int) -> None:
    results.add(record(1), "built")
    results.add(record(2), "built")
    file = tmp_path / "train" / "x.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:keep])
    assert numbers(results) == [1]
    results.add(record(3), "built")
    assert numbers(results) == [1, 3]


def test_zeros_and_other_rubbish_are_skipped(results: History, tmp_path: Path) -> None:
    results.add(record(1), "built")
    with (tmp_path / "train" / "x.jsonl").open("ab") as file:
        file.write(b"\0" * 500 + b"\n[]\n\xff\xfe\n")
    results.add(record(2), "built")
    assert numbers(results) == [1, 2]


def test_is_bounded(results: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LIMIT_BYTES", 4000)
    for number in range(200):
        results.add(record(number), "built")
    assert (tmp_path / "train" / "x.jsonl").stat().st_size <= 4000
    found = numbers(results)
    assert found == list(range(200 - len(found), 200))
    assert len(found) > 5


def test_long_metrics_lose_all_but_plain_values(results: History) -> None:
    results.add(record(1, metrics={"accuracy": 0.5, "name": "x", "matrix": [[0] * 100] * 100}), "built")
    assert results.entries()[0].metrics == {"accuracy": 0.5, "name": "x"}


def test_a_history_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a file where the folder should be")
    results = History(tmp_path / "train" / "x.jsonl")
    results.add(record(1), "built")
    assert results.entries() == []


def test_lines_of_an_older_modelyard_are_read(results: History, tmp_path: Path) -> None:
    results.add(record(1), "built")
    line = {"how": "built", "when": "w", "key": "2" * 64, "digest": "d", "unknown": 1}
    with (tmp_path / "train" / "x.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
    assert len(results.entries()) == 2
