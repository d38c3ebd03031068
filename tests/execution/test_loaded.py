"""What a worker has of the project: it is loaded once, and a stage that is another by now does not run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from modelyard.errors import StageFailed
from modelyard.execution.loaded import Loaded
from modelyard.execution.protocol import Request
from modelyard.project.load import Project, load
from modelyard.stage import outline

if TYPE_CHECKING:
    from pathlib import Path

DATA = "dataset:points"


@pytest.fixture
def request_(toy_project: Path) -> Request:
    names: dict[str, Any] = dict.fromkeys(("out", "cache", "result", "log"), "")
    said = outline(load(toy_project).plan.stages[DATA])
    return Request(id=1, project=str(toy_project), stage=DATA, outline=said, inputs={}, overrides={}, **names)


def test_a_stage_that_is_what_it_was_gets_the_project(request_: Request) -> None:
    loaded = Loaded(request_)
    project = loaded.asked_for(request_)
    assert isinstance(project, Project)
    assert DATA in project.plan.stages
    assert not loaded.failed


@pytest.mark.parametrize("changes", [{"outline": "{}"}, {"stage": "dataset:gone", "outline": ""}])
def test_a_stage_that_is_another_by_now_does_not_run(request_: Request, changes: dict[str, str]) -> None:
    asked = msgspec.structs.replace(request_, **changes)
    error = Loaded(request_).asked_for(asked)
    assert isinstance(error, StageFailed)
    assert str(error) == f"{asked.stage}: pyproject.toml or a plugin changed since this build began\n  run `doit` again"


def test_what_the_command_line_says_is_of_the_stage(request_: Request) -> None:
    asked = msgspec.structs.replace(request_, overrides={"dataset.samples": "30"})
    assert isinstance(Loaded(asked).asked_for(request_), StageFailed)


def test_a_project_that_cannot_be_loaded_says_why_to_each_stage(request_: Request, toy_project: Path) -> None:
    (toy_project / "pyproject.toml").write_text("[tool.modelyard\n")
    loaded = Loaded(request_)
    assert loaded.failed
    assert "pyproject.toml" in str(loaded.asked_for(request_))
