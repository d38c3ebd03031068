from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from doit.dependency import JSONCodec
from doit.exceptions import InvalidDodoFile
from tests.conftest import doit_environment

from modelyard.files.digests import DigestTable
from modelyard.frontend import doit_records as records
from modelyard.frontend.doit_records import Records, checker

if TYPE_CHECKING:
    from pathlib import Path

Doit = Callable[..., "subprocess.CompletedProcess[str]"]

OWN_TASKS = '''

def task_first():
    """a task of the project's own"""
    return {"actions": ["echo first >> ran.txt"], "file_dep": ["first.in"]}


def task_second():
    """another, which waits until it is killed"""
    return {"actions": ["echo second >> ran.txt; test -e go || sleep 60"], "file_dep": ["first.in"], "task_dep": ["first"]}
'''


@pytest.fixture
def own(toy_project: Path) -> Path:
    """The toy project with two tasks of its own."""
    with (toy_project / "dodo.py").open("a") as file:
        file.write(OWN_TASKS)
    (toy_project / "first.in").write_text("1")
    return toy_project


def ran(project: Path) -> list[str]:
    path = project / "ran.txt"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_finished_task_is_kept_when_doit_is_killed(number: signal.Signals, own: Path, doit: Doit) -> None:
    command = [sys.executable, "-m", "doit", "first", "second"]
    with subprocess.Popen(
        command,
        cwd=own,
        env=doit_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        end = time.monotonic() + 30
        while ran(own) != ["first", "second"] and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number)
        time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert ran(own) == ["first", "second"]
    (own / "go").write_text("")
    done = doit(own, "first", "second")
    assert done.returncode == 0, done.stderr
    assert ran(own) == ["first", "second", "second"]
    assert doit(own, "first", "second").returncode == 0
    assert ran(own) == ["first", "second", "second"]


def test_an_own_task_runs_again_for_new_content_but_not_for_a_new_date(own: Path, doit: Doit) -> None:
    assert doit(own, "first").returncode == 0
    os.utime(own / "first.in", (1, 1))
    assert doit(own, "first").returncode == 0
    assert ran(own) == ["first"]
    before = (own / "first.in").stat()
    (own / "first.in").write_text("2")
    os.utime(own / "first.in", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert doit(own, "first").returncode == 0
    assert ran(own) == ["first", "first"]


def test_an_own_task_that_failed_runs_again(own: Path, doit: Doit) -> None:
    with (own / "dodo.py").open("a") as file:
        file.write(
            "\n\ndef task_third():\n    return {'actions': ['echo 3 >> ran.txt; test -e go'], 'file_dep': ['first.in']}\n"
        )
    assert doit(own, "third").returncode == 1
    (own / "go").write_text("")
    assert [doit(own, "third").returncode for _ in range(2)] == [0, 0]
    assert ran(own) == ["3", "3"]


def test_a_stage_that_fails_keeps_what_it_had_and_the_others_stand(toy_project: Path, doit: Doit) -> None:
    assert doit(toy_project, "train").returncode == 0
    model = toy_project / "artifacts" / "train" / "model.build" / "stage.json"
    before = model.read_bytes()
    helper = toy_project / "helper.py"
    text = helper.read_text()
    helper.write_text(text.replace("value / 2", "value / 0"))
    failed = doit(toy_project, "train")
    assert failed.returncode != 0
    assert "Traceback" not in failed.stdout + failed.stderr
    assert model.read_bytes() == before, "what stood before still stands"
    helper.write_text(text)
    again = doit(toy_project, "train")
    assert again.returncode == 0
    assert "built 0, restored 0, up to date 2" in again.stdout


def test_forget_makes_a_stage_run_again_and_ignore_keeps_it_from_running(toy_project: Path, doit: Doit) -> None:
    assert doit(toy_project, "dataset").returncode == 0
    assert doit(toy_project, "forget", "dataset:points").returncode == 0
    assert "built 1, restored 0" in doit(toy_project, "dataset").stdout
    assert doit(toy_project, "ignore", "dataset:points").returncode == 0
    (toy_project / "artifacts" / "dataset" / "points" / "dataset.json").unlink()
    assert "!! dataset:points" in doit(toy_project, "dataset").stdout
    assert not (toy_project / "artifacts" / "dataset" / "points" / "dataset.json").exists()


# The backend by itself


def open_records(path: Path) -> Records:
    return Records(str(path / "doit.sqlite"), JSONCodec())


def test_a_task_is_on_disk_as_soon_as_it_is_saved(tmp_path: Path) -> None:
    first = open_records(tmp_path)
    first.set("t", "result:", "r")
    first.set("t", "first.in", "digest")
    assert open_records(tmp_path).get("t", "first.in") is None, "a task that is half saved is not saved"
    first.set("t", "deps:", ["first.in"])
    second = open_records(tmp_path)
    assert (second.get("t", "first.in"), second.get("t", "deps:"), second.in_("t")) == ("digest", ["first.in"], True)
    assert not second.in_("u")


def test_two_doit_processes_keep_what_each_saved(tmp_path: Path) -> None:
    one, two = open_records(tmp_path), open_records(tmp_path)
    one.set("a", "deps:", [])
    two.set("b", "deps:", [])
    one.dump()
    two.dump()
    assert open_records(tmp_path).in_("a")
    assert open_records(tmp_path).in_("b")


def test_a_task_or_all_can_be_forgotten(tmp_path: Path) -> None:
    one = open_records(tmp_path)
    for name in "abc":
        one.set(name, "deps:", [])
    one.remove("a")
    assert [open_records(tmp_path).in_(name) for name in "abc"] == [False, True, True]
    one.remove_all()
    assert [open_records(tmp_path).in_(name) for name in "abc"] == [False, False, False]


def test_a_stage_has_nothing_to_lose_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(records, "forget_stage", {"train:net": lambda: forgotten.append("train:net")})
    one = open_records(tmp_path)
    one.set("train:net", "deps:", ["x"])
    one.set("other", "deps:", ["x"])
    rows = sqlite3.connect(tmp_path / "doit.sqlite").execute("select task from doit").fetchall()
    assert rows == [("other",)]
    assert one.in_("train:net")
    assert one.get("train:net", "deps:") is None
    one.remove("train:net")
    one.remove_all()
    assert forgotten == ["train:net", "train:net"]


def test_damaged_records_are_made_anew(tmp_path: Path) -> None:
    one = open_records(tmp_path)
    for number in range(100):
        one.set(f"task{number}", "deps:", ["x" * 400])
    one.dump()
    path = tmp_path / "doit.sqlite"
    whole = path.read_bytes()
    for damaged in (b"no database" * 1000, whole[:4096] + b"\xa5" * (len(whole) - 4096), whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        again = open_records(tmp_path)
        for number in range(100):
            again.set(f"task{number}", "deps:", ["y"])
        again.dump()
        assert open_records(tmp_path).get("task99", "deps:") == ["y"]


def test_records_of_another_version_are_made_anew(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "doit.sqlite") as connection:
        connection.execute("create table doit (task text primary key, data text, more text)")
    one = open_records(tmp_path)
    one.set("a", "deps:", ["y"])
    one.dump()
    assert open_records(tmp_path).get("a", "deps:") == ["y"]


def test_a_task_whose_row_is_damaged_runs_again(tmp_path: Path) -> None:
    one = open_records(tmp_path)
    one.set("a", "deps:", ["x"])
    one.dump()
    with sqlite3.connect(tmp_path / "doit.sqlite") as connection:
        connection.execute("update doit set data = substr(data, 2)")
    assert not open_records(tmp_path).in_("a")


def test_records_that_cannot_be_written_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidDodoFile, match=re.escape("file/doit.sqlite: cannot be opened")):
        open_records(tmp_path / "file").in_("a")


def test_files_are_compared_by_digest(tmp_path: Path) -> None:
    compare = checker(DigestTable(tmp_path / "state.sqlite"))()
    path = tmp_path / "file"
    path.write_text("hello")
    state = compare.get_state(str(path), None)
    assert state == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert not compare.check_modified(str(path), path.stat(), state)
    path.write_text("HELLO")
    assert compare.check_modified(str(path), path.stat(), state)
    stage = records._STAGE
    assert compare.get_state(str(path), stage) is None
    assert not compare.check_modified(str(path), path.stat(), stage), "what a stage reads is judged by the stage"
