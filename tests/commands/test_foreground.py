"""Tasks that act: which there are, what each waits for, and what they tell; a served model is asked in tests/front_door."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doit.exceptions import TaskFailed

from modelyard.build.engine import Engine
from modelyard.commands.foreground import Act, _run, clean_report, export, foreground_tasks, push
from modelyard.errors import StageFailed, ToolError
from modelyard.files.json import write_json
from modelyard.project.load import load
from modelyard.testing import write_small_project
from tests.facts import image_facts

IMAGE = """
[tool.modelyard.pipelines.left]
[tool.modelyard.pipelines.right]

[tool.modelyard.images.both]
models = ["left", "right"]
"""


@contextmanager
def opened(project: Path) -> Iterator[Engine]:
    with closing(Engine(load(project))) as engine:
        yield engine


def tasks(engine: Engine, name: str) -> dict[str, dict[str, Any]]:
    """Return the tasks of a group, whose own task comes first, by what tells them apart."""
    group, *found = foreground_tasks(engine, name, "what they do")
    assert (group["name"], group["actions"], group["doc"]) == (None, None, "what they do")
    return {one["name"]: one for one in found}


# Which tasks there are


def test_each_is_called_as_what_it_acts_on_and_waits_for_that(toy_project: Path) -> None:
    with opened(toy_project) as engine:
        found = {name: tasks(engine, name) for name in ("serve", "push", "export", "report")}
    assert {name: [*one] for name, one in found.items()} == {
        "serve": ["toy"],
        "push": ["toy"],
        "export": ["note"],
        "report": ["toy"],
    }
    needs = {name: task["file_dep"] for name, group in found.items() for task in group.values()}
    assert needs == {
        "serve": ["artifacts/select/toy/model/model.json"],
        "push": ["artifacts/image/toy/image.json"],
        "export": ["artifacts/render/note/stage.json"],
        "report": [],
    }
    assert found["serve"]["toy"]["doc"] == "serve the selected model on 127.0.0.1:8080 until Ctrl-C"
    assert found["export"]["note"]["doc"] == "write what render:note made to deploy/note/, for git"
    assert all(task["uptodate"] == [False] for group in found.values() for task in group.values()), "they always act"


def test_push_waits_for_the_check_of_the_image_where_there_is_one(toy_project: Path, tmp_path: Path) -> None:
    with opened(write_small_project(tmp_path / "small")) as engine:
        assert tasks(engine, "push")["small"]["file_dep"] == ["artifacts/check/small/stage.json"]
    with opened(toy_project) as engine:
        needs = tasks(engine, "push")["toy"]["file_dep"]
    assert needs == ["artifacts/image/toy/image.json"], "its plugin takes the check away"


def test_an_image_of_several_models_comes_first_and_waits_for_all_of_them(toy_project: Path) -> None:
    file = toy_project / "pyproject.toml"
    file.write_text(file.read_text() + IMAGE)
    with opened(toy_project) as engine:
        found = tasks(engine, "serve")
    assert [*found] == ["both", "left", "right"]
    assert found["both"]["doc"].startswith("serve the 2 models of the image on ")
    assert found["both"]["file_dep"] == [f"artifacts/select/{one}/model/model.json" for one in ("left", "right")]


def test_what_a_plugin_took_out_of_the_plan_has_no_tasks(toy_project: Path) -> None:
    plugin = "from modelyard import hookimpl\n\n\n@hookimpl\ndef modelyard_amend_plan(stages):\n"
    line = "    stages[:] = [one for one in stages if one.kind not in ('image', 'render')]\n"
    (toy_project / "plugins" / "less.py").write_text(plugin + line)
    with opened(toy_project) as engine:
        assert list(foreground_tasks(engine, "push", "push")) == []
        assert tasks(engine, "export") == {}
        assert [*tasks(engine, "report")] == ["toy"]


# What they do


def test_a_persons_mistake_fails_the_task_with_its_words_and_any_other_goes_on() -> None:
    told: list[int] = []

    def act(number: int) -> None:
        told.append(number)
        if number:
            msg = "no\n  do that"
            raise ToolError(msg)

    one = Act(act)
    one.task = SimpleNamespace(options={"number": 1})
    failed = one.execute()
    assert isinstance(failed, TaskFailed)
    assert failed.get_msg() == "no\n  do that\n"
    one.task = SimpleNamespace(options={"number": 0})
    assert one.execute() is None
    assert told == [1, 0]
    one.task = SimpleNamespace(options=None)
    with pytest.raises(TypeError, match="number"):
        one.execute()


def test_an_image_without_an_archive_is_pushed_by_its_builder(toy_project: Path) -> None:
    with opened(toy_project) as engine:
        stage = engine.plan.stages["image:toy"]
        folder = engine.workspace.folder(stage)
        folder.mkdir(parents=True)
        write_json(folder / "image.json", image_facts())
        with pytest.raises(ToolError) as caught:
            push(engine, stage)
    assert str(caught.value).splitlines() == [
        "push: the builder 'toy' writes no archive of its image",
        "  push registry.example/team/digits:1 as that builder says, or use a builder that writes an archive",
    ]


def test_what_was_rendered_is_exported_and_told_file_by_file(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(toy)
    with opened(toy) as engine:
        stage = engine.plan.stages["render:note"]
        export(engine, stage)
        assert capsys.readouterr().out == "   deploy/note/: 1 written, 0 removed, 0 unchanged\n     + note.txt\n"
        export(engine, stage)
        assert capsys.readouterr().out == "   deploy/note/: 0 written, 0 removed, 1 unchanged\n"
        (toy / "deploy/note/note.txt").write_text("mine")
        with pytest.raises(StageFailed, match="not as an export wrote it"):
            export(engine, stage)


def test_a_folder_that_cannot_be_exported_to_is_told(toy: Path) -> None:
    (toy / "deploy").symlink_to("/proc")  # root may not make a folder there either
    with opened(toy) as engine, pytest.raises(ToolError, match=r"^export: .*/deploy.*: [A-Z][a-z ]+$"):
        export(engine, engine.plan.stages["render:note"])


def test_a_report_is_cleaned_and_nothing_else(toy_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("toy", "other"):
        (toy_project / "artifacts/report" / name).mkdir(parents=True)
    with opened(toy_project) as engine:
        clean_report(engine, "toy", dryrun=True)
        assert (toy_project / "artifacts/report/toy").exists()
        clean_report(engine, "toy", dryrun=False)
        assert capsys.readouterr().out == "report:toy - removing artifacts/report/toy\n" * 2
        clean_report(engine, "toy", dryrun=False)
        assert capsys.readouterr().out == "", "there is none"
    assert [one.name for one in (toy_project / "artifacts/report").iterdir()] == ["other"]


# A server in the foreground


def test_a_server_has_its_variables_and_its_exit_code_is_told() -> None:
    assert _run(["/bin/sh", "-c", 'exit "$CODE"'], {"CODE": "3"}) == 3
    assert _run(["/bin/sh", "-c", "kill -KILL $$"], {}) == -signal.SIGKILL


def test_who_asks_doit_to_end_asks_the_server() -> None:
    unheard: list[int] = []

    def mine(number: int, _: Any) -> None:
        unheard.append(number)

    before = signal.signal(signal.SIGTERM, mine)
    try:
        ask = "trap 'exit 7' TERM; while :; do kill -TERM $PPID; sleep 0.02; done"
        assert _run(["/bin/sh", "-c", ask], {**os.environ}) == 7
        assert signal.getsignal(signal.SIGTERM) is mine, "as it was before"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_beside_other_tasks_a_server_runs_in_a_thread_that_may_set_no_signal() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(_run(["/bin/sh", "-c", "exit 4"], {})))
    thread.start()
    thread.join()
    assert codes == [4]
