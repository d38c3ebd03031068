"""Mistakes on the command line: two lines, the nearest name that there is, exit code 3."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from modelyard.commands.base import ModelyardCommand
from modelyard.commands.events import PARAMS
from modelyard.commands.wording import task_error, task_option_error
from tests.conftest import doit_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Doit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    from tests.conftest import PROJECTS

    made = tmp_path_factory.mktemp("wording") / "toy"
    shutil.copytree(PROJECTS / "toy", made)
    return made


LISTS = "`doit list --all` shows the tasks"


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        ("why train --jsn", "why: there is no option '--jsn', did you mean '--json'?", "`doit help why` lists the options"),
        ("history train --limit x", "history: option '--limit': 'x' is not a whole number", "`doit help history` lists the options"),
        ("history train --limit", "history: option '--limit' needs a value", "`doit help history` lists the options"),
        ("plan --json=x", "plan: option '--json' takes no value", "`doit help plan` lists the options"),
        ("graph --format svgg", "graph: option '--format': 'svgg' is not allowed, did you mean 'svg'?; allowed: mermaid, dot, svg", "`doit help graph` lists the options"),
        ("-h", "run: there is no option '-h', did you mean 'doit help'?", "`doit help run` lists the options"),
        ("-n x", "run: option '--process': 'x' is not a whole number", "`doit help run` lists the options"),
        ("--no", "run: option '--no' may mean several: --no-continue, --no-wait", "`doit help run` lists the options"),
        ("train --no-wat", "run: there is no option '--no-wat', did you mean '--no-wait'?", "`doit help run` lists the options"),
        ("train --continue", "run: option '--continue' stands before the tasks, not behind them", "`doit help run` lists the options"),
        ("-c list", "'list': a command stands first", "run `doit list`, with options and tasks behind it"),
        ("trian", "'trian': no such task or command, did you mean 'train'?", f"{LISTS}, `doit help` the commands"),
        ("pln", "'pln': no such task or command, did you mean 'plan'?", f"{LISTS}, `doit help` the commands"),
        ("train:x", "'train:x': no such task or command, did you mean 'train:model.build'?", f"{LISTS}, `doit help` the commands"),
        ("list trian", "list: 'trian': no such task, did you mean 'train'?", LISTS),
        ("list --statuz", "list: there is no option '--statuz', did you mean '--status'?", "`doit help list` lists the options"),
        ("clean trian", "clean: 'trian': no such task, did you mean 'train'?", LISTS),
        ("forget trian", "forget: 'trian': no such task, did you mean 'train'?", LISTS),
        ("ignore trian", "ignore: 'trian': no such task, did you mean 'train'?", LISTS),
        ("help trian", "'trian': no such task or command, did you mean 'train'?", f"{LISTS}, `doit help` the commands"),
        ("help train why", "help: 'why' is one word too many", "usage: doit help [COMMAND or TASK]"),
        ("info trian", "info: 'trian': no such task, did you mean 'train'?", LISTS),
        ("provenance trian", "provenance: 'trian' names no result, did you mean 'train'?", "write STAGE@N, or 4 or more digits of a key; `doit history STAGE` shows both"),
        ("diff trian@1 now", "diff: 'trian@1' names no result, did you mean 'train'?", "write STAGE@N, or 4 or more digits of a key; `doit history STAGE` shows both"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_two_lines_with_exit_code_3(
    words: str, first: str, second: str, toy: Path, doit: Doit
) -> None:
    done = doit(toy, *words.split())
    assert done.stderr == f"ERROR: {first}\n  {second}\n"
    assert (done.returncode, done.stdout) == (3, "")


def test_a_kind_without_a_near_stage_names_one_of_its_stages() -> None:
    assert "did you mean 'train:net'?" in str(task_error("train:zzz", ["train", "train:net"]))


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--sampels 2", "there is no option '--sampels', did you mean '--samples'?"),
        ("--samples x", "option '--samples': 'x' is not a whole number"),
        ("--wait x train", "option '--wait': 'x' is not a number"),
        ("--file", "option '--file' needs a value"),
    ],
)
def test_a_mistake_in_a_tasks_options_names_the_task(words: str, what: str) -> None:
    tasks = [SimpleNamespace(name="train", params=()), SimpleNamespace(name="events:send", params=PARAMS)]
    told = task_option_error(["train", "events:send", *words.split()], tasks)
    assert str(told) == f"events:send: {what}\n  `doit help events:send` lists the options"
    assert task_option_error(["events:send", "--samples", "2", "train", "--nothing"], tasks) is None


@pytest.mark.parametrize("words", [["list", "--all"], ["plan"], ["info", "train"], ["-n", "2", "-r", "json"]])
def test_a_reader_that_stops_is_no_error(words: list[str], toy: Path) -> None:
    command = [sys.executable, "-m", "doit", *words]
    with subprocess.Popen(
        command, cwd=toy, env=doit_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        running.stdout.close()
        assert running.stderr
        assert running.stderr.read() == ""
    assert running.returncode == 0


@pytest.mark.parametrize("name", ["why", "plan", "accept", "history", "diff", "graph", "provenance", "lock", "gc", "report_diff", "verify", "plugins"])  # fmt: skip
def test_every_command_takes_json(name: str) -> None:
    import importlib

    module = importlib.import_module(f"modelyard.commands.{name}")
    command = next(
        one
        for one in vars(module).values()
        if isinstance(one, type) and one.__module__ == module.__name__ and issubclass(one, ModelyardCommand)
    )
    assert "json" in [option["name"] for option in command.cmd_options]


def test_a_task_that_cannot_run_is_told_in_words(toy_project: Path, doit: Doit) -> None:
    (toy_project / "model.py").write_text("def build(input_shape, classes):\n    return {}['x']\n")
    dodo = toy_project / "dodo.py"
    mine = 'def task_mine():\n    return {"actions": ["true"], "task_dep": ["train"]}\n'
    dodo.write_text(f"{dodo.read_text()}\n\n{mine}")
    done = doit(toy_project, "-c", "optimize", "mine")
    assert "!! mine: not run, since what it needs has failed" in done.stdout
    for raw in ("UnmetDependency", "TaskFailed", "taskid", "#####"):
        assert raw not in done.stdout + done.stderr


def test_the_failure_of_a_task_that_acts_is_told_in_words(toy_project: Path, doit: Doit) -> None:
    dodo = toy_project / "dodo.py"
    mine = "from doit.exceptions import TaskFailed\n\n\ndef task_mine():\n    return {'actions': [lambda: TaskFailed('no: it is not\\n  do that')]}\n"
    dodo.write_text(f"{dodo.read_text()}\n\n{mine}")
    done = doit(toy_project, "mine")
    assert "!! mine failed: no: it is not\n  do that\n" in done.stdout
    assert "TaskFailed" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_json_of_a_build_is_doits(toy: Path, doit: Doit) -> None:
    assert json.loads(doit(toy, "-r", "json", "dataset").stdout)["tasks"]


def test_help_is_doits_on_a_command_on_a_task_and_on_all(toy: Path, doit: Doit) -> None:
    assert doit(toy, "help", "why").stdout.startswith("PURPOSE\n    say why a stage is stale")
    assert doit(toy, "help", "train").stdout.startswith("train  train the model")
    assert " why  " in doit(toy, "help").stdout


@pytest.mark.parametrize("words", ["", "list", "info train", "train", "clean"])
def test_a_folder_without_a_project_is_told_what_to_do_next(tmp_path: Path, doit: Doit, words: str) -> None:
    done = doit(tmp_path, *words.split())
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"ERROR: {tmp_path}/dodo.py: not found\n"
        "  run `modelyard init` to start a project here, or go to the folder of one\n"
    )
