"""What doit is given for a project: its configuration, and a task for each stage; doit itself runs through the front door."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import InvalidDodoFile, TaskFailed

from modelyard.build.engine import Outcome
from modelyard.commands.wording import STATE
from modelyard.errors import ConfigError
from modelyard.frontend import doit_records
from modelyard.kinds import BUILT_IN
from modelyard.stage import Stage
from modelyard.tasks import Tasks, load_project

MODEL = "train:model.build"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what a `doit` process has for itself: how it ends, and what of the command line is its configuration."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(doit_records, "forget_stage", {})
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def tasks(toy_project: Path) -> Iterator[Tasks]:
    loaded = load_project(str(toy_project / "dodo.py"))
    yield loaded
    loaded.engine.close()


def task_train() -> None:
    """train the model"""


def task_push() -> None:
    """push it"""


def group(tasks: Tasks, creator: Callable[[], object]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *rest = tasks.tasks(creator)
    return head, rest


def test_a_mistake_in_the_project_is_one_in_dodo_py(toy_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_DEBUG", raising=False)
    file = toy_project / "pyproject.toml"
    file.write_text(file.read_text().replace('use = "points"', 'use = "pionts"'))
    with pytest.raises(InvalidDodoFile, match="'pionts', did you mean 'points'") as caught:
        load_project(str(toy_project / "dodo.py"))
    assert caught.value.__cause__ is None, "doit shows no traceback"
    monkeypatch.setenv("MODELYARD_DEBUG", "1")
    with pytest.raises(ConfigError, match="pionts"):
        load_project(str(toy_project / "dodo.py"))


def test_what_the_command_line_sets_is_of_the_project(toy_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.tasks.doit_cmd._CMDLINE_VARS", {"dataset.samples": "30"})
    loaded = load_project(str(toy_project / "dodo.py"))
    loaded.engine.close()
    assert loaded.project.config.uses["dataset"].params["samples"] == 30


def test_a_plain_doit_builds_every_kind_that_there_is(tasks: Tasks, toy_project: Path) -> None:
    config = tasks.config()
    assert config["default_tasks"] == [kind for kind in BUILT_IN if kind != "check"], "the toy has no check"
    assert Path(config["dep_file"]).is_relative_to(toy_project / ".modelyard")


def test_a_kind_of_stage_is_a_group_with_a_task_for_each_stage(tasks: Tasks) -> None:
    head, (only,) = group(tasks, task_train)
    assert (head["name"], head["actions"], head["doc"]) == (None, None, "train the model")
    assert only["name"] == "model.build"
    assert only["file_dep"] == ["artifacts/dataset/points/stage.json"]
    assert only["targets"] == ["artifacts/train/model.build/stage.json"]
    assert not head["uptodate"][0]()
    assert not only["uptodate"][0]()
    assert head["meta"][STATE]() == only["meta"][STATE]() != "up to date"


def test_of_a_stage_that_reads_a_part_the_part_is_what_doit_looks_at(tasks: Tasks) -> None:
    (image,) = [one for one in tasks.tasks() if one.get("basename") == "image" and one["name"]]
    assert "artifacts/select/toy/model/model.json" in image["file_dep"]


def test_what_acts_is_a_group_too(tasks: Tasks) -> None:
    head, (only,) = group(tasks, task_push)
    assert (head["doc"], only["name"], only["uptodate"]) == ("push it", "toy", [False])


def test_what_dodo_py_names_is_left_out_of_the_others(tasks: Tasks) -> None:
    found = [one["basename"] for one in tasks.tasks()]
    assert found[0] == "_others", "doit lists no empty group"
    assert {"dataset", "optimize", "render", "serve", "report"} <= set(found)
    assert {"train", "push"}.isdisjoint(found), "this module has functions for them"


def test_a_stage_that_fails_is_a_failed_task_in_our_words(tasks: Tasks, toy_project: Path) -> None:
    _, (only,) = group(tasks, task_train)
    failed = only["actions"][0].execute()
    assert isinstance(failed, TaskFailed)
    assert "dataset:points" in str(failed)
    assert str(only["actions"][0]) == f"modelyard: {MODEL}"


@pytest.mark.parametrize("fresh", [True, False])
def test_a_stage_that_is_up_to_date_only_runs_because_a_person_forces_it(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    asked: list[bool] = []

    def bring(stage: Stage, *, force: bool) -> Outcome:
        asked.append(force)
        return Outcome("built", 1.5)

    monkeypatch.setattr(tasks.engine.judge, "is_up_to_date", lambda _: fresh)
    monkeypatch.setattr(tasks.engine, "bring_up_to_date", bring)
    _, (only,) = group(tasks, task_train)
    (action,) = only["actions"]
    assert only["uptodate"][0]() is fresh
    assert action.execute() is None
    assert asked == [fresh]
    assert action.values == {"how": "built", "duration_s": 1.5}


def test_doit_forgets_a_stage_where_a_person_asks_and_not_where_it_failed(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(tasks.engine, "forget", lambda stage: forgotten.append(stage.id))
    assert set(doit_records.forget_stage) == set(tasks.project.plan.stages)
    doit_records.forget_stage[MODEL]()
    assert forgotten == [MODEL]
    tasks._start({})
    doit_records.forget_stage[MODEL]()
    assert forgotten == [MODEL], "doit does the same for a stage that failed in a build"


KIND = """
from modelyard import hookimpl


def plan(context, **params):
    return []


def act(context):
    return None


@hookimpl
def modelyard_register_kinds(register):
    register("{name}", act, after="select", plan=plan)
"""


@pytest.mark.parametrize("name", ["list", "why", "undeploy"], ids=["doit's", "modelyard's", "a task"])
def test_a_kind_of_a_plugin_s_must_not_be_called_as_what_doit_does_already(toy_project: Path, name: str) -> None:
    (toy_project / "plugins" / "kind.py").write_text(KIND.format(name=name))
    with pytest.raises(InvalidDodoFile, match=rf"register\('{name}'\): `doit {name}` is something else already"):
        load_project(str(toy_project / "dodo.py"))


def test_clean_removes_what_is_there_and_a_dry_run_only_says_so(
    tasks: Tasks, toy_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (only,) = group(tasks, task_train)
    ((clean, arguments),) = only["clean"]
    clean(*arguments, dryrun=False)
    assert capsys.readouterr().out == "", "there is nothing"
    folder = toy_project / "artifacts/train/model.build"
    folder.mkdir(parents=True)
    clean(*arguments, dryrun=True)
    assert folder.exists()
    clean(*arguments, dryrun=False)
    assert not folder.exists()
    assert capsys.readouterr().out == f"{MODEL} - removing artifacts/train/model.build\n" * 2


def test_sigterm_ends_a_build_as_ctrl_c_does_and_neither_shows_a_traceback(
    tasks: Tasks, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signal.getsignal(signal.SIGTERM) in (signal.default_int_handler, signal.SIG_IGN)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "interrupted: what is done is kept; `doit` goes on from here\n"
    sys.excepthook(ValueError, ValueError("no"), None)
    assert "ValueError: no" in capsys.readouterr().err
