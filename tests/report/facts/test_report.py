from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelyard.errors import DataError
from modelyard.report.compare import ReportDiff
from modelyard.report.facts import SCHEMA, Report, read_report
from tests.report.conftest import Make, write_page

SCHEMAS = Path(__file__).parents[3] / "docs" / "reference"


def test_a_report_is_read_back_from_its_file_and_its_folder(make: Make) -> None:
    out = write_page(make())
    report = read_report(out)
    assert report == read_report(out / "report.json")
    assert report.schema == SCHEMA == "modelyard.report/1"
    assert report.shipped == "v1"


def test_fields_of_a_later_version_are_skipped(make: Make) -> None:
    file = write_page(make()) / "report.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "field of tomorrow": 1}))
    assert read_report(file).shipped == "v1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"schema": "modelyard.report/2"}',
            "has the schema 'modelyard.report/2', not 'modelyard.report/1'\n  write it",
        ),
        ("{}", "says no schema"),
        ("nothing", "is no report"),
        ('{"x": ' + "[" * 5000, "is no report: it is nested too deeply"),
        ('{"schema": "modelyard.report/1"}', "is no report: Object missing required field"),
        (b"\xff\xfe", "is no report"),
    ],
)
def test_what_is_no_report_is_said_in_two_lines(tmp_path: Path, text: str | bytes, message: str) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as found:
        read_report(tmp_path)
    assert message in str(found.value)
    assert str(found.value).count("\n") == 1


@pytest.mark.parametrize(("name", "kind"), [("report", Report), ("report-diff", ReportDiff)])
def test_the_published_schema_is_that_of_the_code(name: str, kind: Any) -> None:
    now = msgspec.json.encode(msgspec.json.schema(kind)).decode()
    assert plain(json.loads((SCHEMAS / f"{name}.schema.json").read_text())) == plain(json.loads(now))


def plain(value: Any) -> Any:
    """Return the schema without the indentation of docstrings, which depends on the version of Python."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return " ".join(value.split()) if isinstance(value, str) else value
