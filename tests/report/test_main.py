"""The process that renders: it answers in a file, whatever goes wrong."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from modelyard.errors import DataError
from modelyard.execution.protocol import Result
from modelyard.files.json import read_json, write_json
from modelyard.report.__main__ import _explain, main
from modelyard.report.collect import Collected
from tests.report.conftest import Make
from tests.shared import there


def answer(made: Collected, folder: Path) -> tuple[int, Result]:
    write_json(folder / "request.json", made)
    code = main(str(folder / "request.json"), str(folder / "result.json"))
    return code, read_json(folder / "result.json", Result)


def test_what_is_asked_for_is_rendered(make: Make, tmp_path: Path) -> None:
    made = make(built=())
    code, result = answer(made, tmp_path)
    assert (code, result.failure) == (0, None)
    assert {path.name for path in Path(made.out).iterdir()} == {"index.html", "report.md", "report.json"}


def test_a_damaged_artifact_is_the_answer(make: Make, tmp_path: Path) -> None:
    made = make(variants=1, built=("evaluate",))
    (Path(made.variants["v0"].evaluation) / "evaluation.json").write_text("{")
    code, result = answer(made, tmp_path)
    failure = there(result.failure)
    assert code == 1
    assert failure.message.startswith("report: ")
    assert "evaluation.json: cannot be read as Evaluation" in failure.message
    assert "DataError" in failure.traceback


def test_a_folder_that_cannot_be_written_to_is_named(make: Make, tmp_path: Path) -> None:
    made = make(built=())
    Path(made.out).parent.mkdir(parents=True)
    Path(made.out).write_text("a file")
    code, result = answer(made, tmp_path)
    assert code == 1
    assert there(result.failure).message.splitlines() == [
        f"report: {made.out}: File exists",
        "  mend this, or wait for a build that is running, then run `doit report` again",
    ]


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (DataError("a.json: is no report\n  write it"), "report: a.json: is no report\n  write it"),
        (
            ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib"),
            "report: needs the module 'matplotlib', which is not installed\n  run: python -m pip install 'modelyard[report]'",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "report: the/out: No space left on device\n  mend this"),
        (OSError("closed"), "report: the/out: closed\n  mend this"),
        (ValueError("x"), "report: ValueError: x\n  MODELYARD_DEBUG=1 shows the traceback"),
    ],
)
def test_a_mistake_is_told_in_two_lines(exc: Exception, message: str) -> None:
    told = _explain(exc, "the/out")
    assert told.startswith(message)
    assert told.count("\n") == 1
