"""What stands in for what Linux has and macOS has not; simulated by taking it away."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from modelyard import system

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what macOS has not."""
    monkeypatch.setattr(sys, "platform", "darwin")
    for name in ("sched_getaffinity", "sched_setaffinity", "posix_fadvise"):
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(system, "_libc", object)
    import resource

    monkeypatch.delattr(resource, "RUSAGE_THREAD")


def test_a_thread_that_sleeps_waits_and_one_that_works_does_not() -> None:
    before = system.waits()
    for _ in range(5):
        threading.Event().wait(0.001)
    assert system.waits() - before >= 5


def test_a_thread_is_pinned_and_let_go() -> None:
    before = system.usable_cpus()
    try:
        assert system.pin(before[-1:])
        assert system.usable_cpus() == before[-1:]
    finally:
        assert system.pin(before)


def test_a_system_that_forbids_pinning_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert not system.pin((0,))


def test_without_affinity_every_cpu_is_usable_and_none_can_be_pinned(macos: None) -> None:
    assert system.usable_cpus() == tuple(range(os.cpu_count() or 1))
    assert not system.pin((0,))


def test_a_resident_set_is_told_in_kilobytes_or_on_macos_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert system.max_rss_bytes(3) == 3072
    monkeypatch.setattr(sys, "platform", "darwin")
    assert system.max_rss_bytes(3) == 3


def test_macos_lets_a_process_with_frameworks_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert system.forking_environment() == {}
    monkeypatch.setattr(sys, "platform", "darwin")
    assert system.forking_environment() == {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"}


def test_what_only_speeds_reading_up_is_left_out(macos: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (tmp_path / "file").open() as file:
        system.read_soon(file.fileno())
    assert system.waits() >= 0


def test_a_file_system_is_synced_at_once_or_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from modelyard.files import atomic as durable

    monkeypatch.setattr(durable, "_MANY", 3)
    files = [tmp_path / str(number) for number in range(3)]
    for file in files:
        file.write_text("x")
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), fsync(file)))

    durable.sync(files)
    assert synced == []
    request.getfixturevalue("macos")
    durable.sync(files)
    assert len(synced) == 3


DIE = """
import os, sys, time
from modelyard import system
if {without}:
    system.prctl = lambda *_: False
    system._LOOK_AGAIN_S = 0.01
read, write = os.pipe()
middle = os.fork()
if middle == 0:
    parent = os.getpid()
    if os.fork() == 0:
        system.die_with_parent(parent)
        os.write(write, b"x")
        time.sleep(600)
    os.read(read, 1)
    os._exit(0)
os.waitpid(middle, 0)
"""


@pytest.mark.parametrize("without", [False, True], ids=["prctl", "no prctl"])
def test_a_process_ends_when_its_parent_has(without: bool) -> None:
    """The pipe of stdout is at its end only when no process has it open any more."""
    done = subprocess.run(
        [sys.executable, "-c", DIE.format(without=without)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


WINDOWS = """
import multiprocessing, subprocess, sys
from doit.doit_cmd import DoitMain
sys.platform = "win32"
for name in ("fcntl", "resource"):
    sys.modules[name] = None
sys.exit(DoitMain().run({arguments!r}))
"""


@pytest.mark.parametrize("arguments", [["list"], [], ["why", "train"]])
def test_windows_gets_one_line(arguments: list[str], toy_project: Path) -> None:
    script = WINDOWS.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", script], cwd=toy_project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "modelyard runs on Linux and macOS, not on Windows; there, install and run it inside WSL 2 (`wsl --install`)\n"
    )
