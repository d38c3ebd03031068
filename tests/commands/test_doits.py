"""doit's own commands, called as doit calls them, on tasks that need no project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from doit.cmd_base import DodoTaskLoader, ModuleTaskLoader
from doit.cmd_help import HELP_TASK
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile
from doit.plugin import PluginDict

from modelyard.commands.doits import Clean, Forget, Help, Ignore, Info, List
from modelyard.commands.wording import STATE, STAYS

LISTS = "\n  `doit list --all` shows the tasks"
STATES = {"fresh": "up-to-date", "kept": "restore", "unknown": "maybe", "stale": "run"}


def stage(state: str) -> dict[str, Any]:
    return {"actions": ["true"], "doc": f"a {state} one", "meta": {STATE: lambda: state, STAYS: True}}


def own() -> dict[str, Any]:
    return {"actions": ["true"], "targets": ["made.txt"], "clean": True, "meta": {"team": "vision"}}


TASKS = {f"task_{name}": (lambda state=state: stage(state)) for name, state in STATES.items()} | {"task_own": own}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: Any, *words: str, tasks: dict[str, Any] = TASKS) -> int:
    code: int = command(task_loader=ModuleTaskLoader(tasks), cmds=commands()).parse_execute([*words])
    return code


def commands() -> PluginDict:
    return PluginDict({"list": List, "info": Info})


def refused(command: Any, *words: str, kind: type[Exception] = InvalidCommand) -> str:
    with pytest.raises(kind) as caught:
        run(command, *words)
    return str(caught.value)


def test_list_tells_what_a_build_would_do_in_the_words_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Ignore, "own") == 0
    capsys.readouterr()
    assert run(List, "--status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [(line[:10].rstrip(), line[11:].split()[0]) for line in lines] == [
        ("up to date", "fresh"),
        ("restore", "kept"),
        ("ignored", "own"),
        ("run", "stale"),
        ("maybe", "unknown"),
    ]
    assert run(List, "--status", "own") == 0
    assert capsys.readouterr().out.split() == ["ignored", "own"]
    assert run(Forget, "own") == 0
    capsys.readouterr()
    run(List, "--status", "own")
    assert capsys.readouterr().out.split() == ["run", "own"], "a task that has no stage is as doit says"


def test_without_status_nobody_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise AssertionError

    assert run(List, tasks={"task_a": lambda: {"actions": ["true"], "doc": "one", "meta": {STATE: fail}}}) == 0
    assert capsys.readouterr().out.split() == ["a", "one"]


@pytest.mark.parametrize("command", [List, Info, Clean, Forget, Ignore])
def test_a_word_that_names_no_task_is_told_with_the_command_and_the_nearest(command: Any) -> None:
    name = command.__name__.lower()
    assert refused(command, "stal") == f"{name}: 'stal': no such task, did you mean 'stale'?{LISTS}"
    assert refused(command, "zzz") == f"{name}: 'zzz': no such task{LISTS}"


@pytest.mark.parametrize("command", [List, Info, Clean, Forget, Ignore])
def test_an_option_that_there_is_not_is_told_with_the_command(command: Any) -> None:
    name = command.__name__.lower()
    assert refused(command, "--qqq", kind=CmdParseError) == (
        f"{name}: there is no option '--qqq'\n  `doit help {name}` lists the options"
    )


def test_info_shows_a_task_without_what_modelyard_keeps_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Info, "--no-status", "kept") == 0
    assert capsys.readouterr().out.split("\n\n")[1:] == ["a restore one\n"]
    run(Info, "--no-status", "own")
    assert "{'team': 'vision'}" in capsys.readouterr().out, "what a person wrote there is theirs"


@pytest.mark.parametrize("name", STATES)
def test_info_and_list_tell_the_same_of_a_stage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(List, "--status", name)
    state = capsys.readouterr().out.partition(f" {name} ")[0].strip()
    code = run(Info, name)
    said = [f"status     : {state}"] + [f" * `doit why {name}` says why"] * (state != "up to date")
    assert capsys.readouterr().out == "\n".join(["", name, "", f"a {STATES[name]} one", "", *said, ""])
    assert code == (state != "up to date")


def test_info_tells_why_a_task_without_a_stage_would_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def tasks(**more: Any) -> dict[str, Any]:
        return {"task_own": lambda: {"actions": ["true"], **more}}

    assert run(Info, "own", tasks=tasks(targets=["made.txt"], uptodate=[True])) == 1
    missing = "status     : run\n * The following targets do not exist:\n    - made.txt\n"
    assert capsys.readouterr().out.startswith(f"\nown\n\n{missing}")
    (here / "made.txt").touch()
    assert run(Info, "own", tasks=tasks(targets=["made.txt"], uptodate=[True])) == 0
    assert capsys.readouterr().out.startswith("\nown\n\nstatus     : up to date\n\ntargets")
    assert run(Info, "own", tasks=tasks(file_dep=["gone.txt"])) == 1
    assert "status     : error\n * The following file dependencies are missing:\n" in capsys.readouterr().out
    run(Ignore, "own")
    capsys.readouterr()
    assert run(Info, "own") == 1
    assert "status     : ignored\n\ntargets" in capsys.readouterr().out


def test_clean_removes_what_a_task_made(here: Path) -> None:
    (here / "made.txt").write_text("")
    assert run(Clean, "own") == 0
    assert not (here / "made.txt").exists()


def test_help_tells_of_a_command_a_task_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> str:
        assert run(Help, *words) == 0
        return capsys.readouterr().out

    assert told("info").startswith("PURPOSE\n    show info about a task")
    assert told("kept") == "kept  a restore one\n"
    assert told("task") == f"{HELP_TASK}\n"
    assert " info " in told()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kept", "stale"), "help: 'stale' is one word too many\n  usage: doit help [COMMAND or TASK]"),
        (("stal",), "'stal': no such task or command, did you mean 'stale'?"),
        (("lst",), "'lst': no such task or command, did you mean 'list'?"),
    ],
)
def test_help_on_what_there_is_not_is_a_mistake(words: tuple[str, ...], said: str) -> None:
    assert refused(Help, *words).startswith(said)


def test_a_folder_without_a_dodo_is_told_what_to_do(here: Path) -> None:
    with pytest.raises(InvalidDodoFile) as caught:
        List(task_loader=DodoTaskLoader(), cmds=commands()).parse_execute([])
    assert str(caught.value).startswith(f"{here}/dodo.py: not found\n  run `modelyard init`")
    with pytest.raises(InvalidCommand, match="'lst': no such task or command, did you mean 'list'"):
        Help(task_loader=DodoTaskLoader(), cmds=commands()).parse_execute(["lst"])
