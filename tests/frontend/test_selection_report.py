from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.tasks import evaluation

from modelyard.files.json import write_json
from modelyard.frontend.selection_report import failed, made
from modelyard.project.workspace import Workspace
from modelyard.stage import Stage
from modelyard.variants.evaluation import Latency, Measured
from modelyard.variants.row import Row
from modelyard.variants.selection import Selection

STAGE = Stage("select", "shop")
MISSES = ("max_size: 900 bytes are more than 1", "min_accuracy: accuracy 0.3 is below 0.5")


def row(name: str, size: int, **more: Any) -> Row:
    latency = Latency(p50_ms=0.0123, p99_ms=0.1, mean_ms=0.02, samples=9, warmup=1)
    measured = Measured(evaluation(accuracy=0.9, size=size, gzip=size), latency)
    return Row(variant=name, metrics=tuple(measured.metrics.values()), **more)


def selection(chosen: str, *rows: Row) -> Selection:
    return Selection(chosen=chosen, rule="smallest", baseline="a", gates={}, front=(), table=rows)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what is asked of a build: where its files are, below the folder that a person is in."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path, tmp_path / ".modelyard")
    for file in (workspace.folder(STAGE) / "x", workspace.log(STAGE)):
        file.parent.mkdir(parents=True)
    return SimpleNamespace(workspace=workspace)


def test_what_ships_is_told_with_the_table_and_what_to_do_next(state: Any) -> None:
    write_json(state.workspace.folder(STAGE) / "selection.json", selection("b", row("a", 20_000), row("b", 10_000)))
    lines = [
        "   variant  accuracy     gzip       p50",
        "   b          0.9000  10.0 kB  0.012 ms  ships",
        "   a          0.9000  20.0 kB  0.012 ms  larger",
        "   b ships: the smallest after gzip of 2 that meet every gate",
        "   all figures: artifacts/select/shop/table.md",
    ]
    assert list(made(state, STAGE, "")) == lines
    assert list(made(state, STAGE, "`doit serve`")) == [*lines, "   next: `doit serve`"]


def test_where_nothing_ships_the_gate_that_most_miss_is_named(state: Any) -> None:
    log = state.workspace.log(STAGE)
    found = selection(
        "", row("a", 900, misses=MISSES[:1]), row("b", 900, misses=MISSES), row("c", 1, misses=MISSES[1:])
    )
    found_again = selection("", *found.table, row("d", 1, misses=MISSES[1:]))
    write_json(log.with_suffix(".selection.json"), found_again)
    *_, summary, figures, then = failed(state, STAGE)
    assert summary == "   nothing ships: of 4 variants none meets every gate"
    assert figures == "   all figures: .modelyard/logs/select/shop.table.md"
    assert then == "   next: `doit select gates.min_accuracy=...` tries another bound"


@pytest.mark.parametrize("text", [None, "", "{", '{"chosen": 3}'])
def test_a_table_that_cannot_be_read_is_no_reason_to_fail(text: str | None, state: Any) -> None:
    if text is not None:
        (state.workspace.folder(STAGE) / "selection.json").write_text(text)
        state.workspace.log(STAGE).with_suffix(".selection.json").write_text(text)
    assert list(failed(state, STAGE)) == []
    assert list(made(state, STAGE, "`doit serve`")) == ["   next: `doit serve`"]
