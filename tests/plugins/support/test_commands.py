from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard.contexts import StageContext
from modelyard.errors import StageFailed
from modelyard_plugins.support.commands import read_metrics, run_program


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def context(tmp_path: Path, told: list[tuple[Any, ...]]) -> StageContext:
    def progress(done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        told.append((done, total, unit, note))

    return StageContext(out=tmp_path, project=tmp_path, cache=tmp_path, seed=0, progress=progress, log=print)


def test_lines_of_progress_are_told_and_all_others_kept(
    context: StageContext, told: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        'modelyard: {"done": 1, "total": 4, "unit": "epochs", "note": "loss 0.5"}',
        'modelyard: {"done": 2.5}',
        "modelyard: not JSON",
        'modelyard: {"done": "2"}',
        'modelyard: {"done": 2, "more": 1}',
        "modelyard: 3",
        "a line",
        "the last one, without an end",
    ]
    (context.project / "say.py").write_text(f"import sys; print({chr(10).join(lines)!r}, end='', file=sys.stderr)")
    run_program(context, [sys.executable, "say.py"])
    assert told == [(1, 4, "epochs", "loss 0.5"), (2.5, None, "", "")]
    assert capsys.readouterr().out.splitlines() == lines[2:]


def test_bytes_that_are_no_text_are_kept_as_far_as_they_are(
    context: StageContext, capsys: pytest.CaptureFixture[str]
) -> None:
    run_program(context, [sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'caf\\xe9\\n')"])
    assert capsys.readouterr().out == "caf\ufffd\n"


def test_a_program_that_is_not_there_or_fails_is_told(context: StageContext) -> None:
    with pytest.raises(StageFailed, match=r"'no-such-program' cannot be started: No such file"):
        run_program(context, ["no-such-program"])
    with pytest.raises(StageFailed, match="ended with code 7"):
        run_program(context, [sys.executable, "-c", "raise SystemExit(7)"])


def test_metrics_are_numbers_by_name(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.json") == {}
    (tmp_path / "metrics.json").write_text('{"loss": 0.5, "epochs": 3}')
    assert read_metrics(tmp_path / "metrics.json") == {"loss": 0.5, "epochs": 3}


@pytest.mark.parametrize("text", ["[1]", '{"a": "b"}', '{"a": true}', '{"a": null}', '{"a"', "\ufeff"])
def test_metrics_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(StageFailed, match="write one object of names and numbers"):
        read_metrics(tmp_path / "metrics.json")
