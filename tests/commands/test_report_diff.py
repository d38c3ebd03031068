from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from modelyard.commands.report_diff import ReportDiff
from modelyard.errors import DataError
from modelyard.files.json import write_json
from modelyard.metrics import Metric
from modelyard.report.compare import SCHEMA, compare
from modelyard.report.compare import ReportDiff as Compared
from modelyard.report.compare_text import markdown
from modelyard.report.facts import Report
from tests.report.reports import report_of, variant


def report(accuracy: float) -> Report:
    metric = Metric(name="accuracy", better="higher", unit="fraction", value=accuracy)
    return report_of(variant("float32", metric), shipped="float32")


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    """Return where two reports are: a folder, and a file."""
    (tmp_path / "main").mkdir()
    write_json(tmp_path / "main" / "report.json", report(0.75))
    write_json(tmp_path / "b.json", report(0.875))
    return [str(tmp_path / "main"), str(tmp_path / "b.json")]


def run(*names: str, json: bool = False) -> int:
    return ReportDiff().run({"json": json}, [*names])


def test_two_reports_are_compared_in_the_order_in_which_they_are_named(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*reports) == 0
    told = capsys.readouterr().out
    assert told == f"{markdown(compare(report(0.75), report(0.875)))}\n"
    assert run(*reversed(reports)) == 0
    assert capsys.readouterr().out == f"{markdown(compare(report(0.875), report(0.75)))}\n"


def test_programs_are_given_the_same_as_json(reports: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*reports, json=True) == 0
    told = capsys.readouterr().out
    assert msgspec.json.decode(told, type=Compared) == compare(report(0.75), report(0.875))
    assert json.loads(told)["schema"] == SCHEMA


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_reports_is_told_with_an_example(count: int, reports: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        run(*(reports[0] for _ in range(count)))
    first, second = str(caught.value).splitlines()
    assert first == f"report-diff: two reports are needed, not {count}"
    assert second.startswith("  for instance `doit report-diff ")


def test_a_report_that_is_not_there_is_named(reports: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere"):
        run(reports[0], str(tmp_path / "nowhere"))
