from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from modelyard.errors import StoreError
from modelyard.files import locks
from modelyard.files.locks import hold, share, take

HOLDER = """
import sys
from pathlib import Path
from modelyard.files.locks import hold, share, take

path = Path(sys.argv[1])
ways = {
    "hold": lambda: hold(path, "train:net", print),
    "share": lambda: share(path, "it", print, "by", wait=True),
    "take": lambda: take(path.parent, "gpu", 1, print, wait=True),
}
with ways[sys.argv[2]]():
    print("held", flush=True)
    sys.stdin.readline()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "train-net.lock"


@pytest.fixture
def start(lock: Path) -> Iterator[Start]:
    """Start another process that holds or shares the lock, or takes the one GPU, until it reads a line or is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(how: str = "hold") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, str(lock), how]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_a_free_lock_is_held_without_a_word(lock: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        with hold(lock, "train:net", told.append, wait=False):
            assert lock.read_bytes().startswith(b"process ")
        assert lock.read_bytes() == b"", "nobody is named who no longer holds it"
    assert told == []


def test_a_held_lock_is_refused_with_its_holder_when_nobody_waits(lock: Path, start: Start) -> None:
    process = start()
    with pytest.raises(StoreError) as caught, hold(lock, "train:net", print, wait=False):
        pytest.fail("held twice")
    told = str(caught.value)
    assert told.startswith(f"train:net is being built by process {process.pid} on {os.uname().nodename} since 2")
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\n  wait for it", told)


def test_the_text_of_a_holder_that_was_killed_does_not_show_behind_the_next(lock: Path) -> None:
    lock.parent.mkdir()
    lock.write_text("process 1 on a-machine-with-a-long-name-that-is-no-longer-there since 2001-01-01 00:00:00+00:00")
    with hold(lock, "train:net", print):
        assert re.fullmatch(r"process \d+ on \S+ since \S{10} \S{14}", lock.read_text())


def test_a_holder_that_has_not_signed_is_another_process(lock: Path) -> None:
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with (
            pytest.raises(StoreError, match="train:net is being built by another process\n"),
            hold(lock, "train:net", print, wait=False),
        ):
            pytest.fail("held twice")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wait_for(lock: Path, told: list[str]) -> threading.Thread:
    return wait_in(lambda: hold(lock, "train:net", told.append), told)


def wait_in(block: Callable[[], AbstractContextManager[None]], told: list[str]) -> threading.Thread:
    """Return a thread that waits for `block`, once it has told so."""

    def run() -> None:
        with block():
            told.append("mine")

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + 10
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    return thread


def test_who_waits_is_told_once_who_holds_it_and_goes_on_when_it_is_free(lock: Path, start: Start) -> None:
    process = start()
    told: list[str] = []
    thread = wait_for(lock, told)
    assert len(told) == 1
    assert f"waiting for train:net, which is being built by process {process.pid} on " in told[0]
    process.communicate("\n", timeout=10)
    thread.join(10)
    assert told[1:] == ["mine"]


def test_who_waits_long_is_told_again(lock: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start()
    told: list[str] = []
    monkeypatch.setattr(locks, "_TELL_AGAIN_S", 0.0)
    thread = wait_for(lock, told)
    while len(told) < 3:
        time.sleep(0.01)
    process.communicate("\n", timeout=10)
    thread.join(10)
    assert len(set(told[:-1])) == 1


def test_a_lock_that_is_refused_leaves_no_file_open(lock: Path, start: Start) -> None:
    start()
    before = open_files()
    with pytest.raises(StoreError), hold(lock, "train:net", print, wait=False):
        pytest.fail("held twice")
    assert open_files() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_dies_with_its_holder(number: signal.Signals, lock: Path, start: Start) -> None:
    process = start()
    told: list[str] = []
    thread = wait_for(lock, told)
    process.send_signal(number)
    thread.join(10)
    assert told[1:] == ["mine"]


@pytest.mark.timeout(20)
def test_who_waits_is_told_on_a_machine_that_has_just_started(
    lock: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    told: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 0.5)
        with pytest.raises(InterruptedError), hold(lock, "train:net", _interrupt(told)):
            pytest.fail("held twice")
    assert f"process {process.pid}" in told[0]


def _interrupt(told: list[str]) -> Callable[[str], None]:
    def tell(line: str) -> None:
        told.append(line)
        raise InterruptedError

    return tell


def test_the_lock_is_free_after_an_error_inside(lock: Path) -> None:
    with pytest.raises(KeyError), hold(lock, "train:net", print):
        raise KeyError
    with hold(lock, "train:net", print, wait=False):
        pass


def test_a_child_process_does_not_keep_the_lock(lock: Path) -> None:
    with hold(lock, "train:net", print):
        child = subprocess.Popen(["sleep", "20"], close_fds=False)
    try:
        with hold(lock, "train:net", print, wait=False):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"file/x.lock: cannot be opened: .*\n  the project's folder must be writable"),
        hold(tmp_path / "file" / "x.lock", "train:net", print),
    ):
        pytest.fail("held")


def test_any_number_may_share_what_nobody_else_then_holds(lock: Path, start: Start) -> None:
    start("share")
    with (
        share(lock, "the store", print, "is used by", wait=False),
        pytest.raises(StoreError, match="the store is in use by"),
        hold(lock, "the store", print, wait=False, verb="is in use by"),
    ):
        pytest.fail("held what is shared")


def test_what_nobody_shares_any_more_can_be_held(lock: Path) -> None:
    with share(lock, "the store", print, "is used by", wait=False):
        pass
    with hold(lock, "the store", print, wait=False):
        pass


def test_what_is_held_alone_is_not_shared(lock: Path, start: Start) -> None:
    process = start()
    told: list[str] = []
    with (
        pytest.raises(StoreError, match=f"the store is being cleaned by process {process.pid}"),
        share(lock, "the store", print, "is being cleaned by", wait=False),
    ):
        pytest.fail("shared what is held")
    thread = wait_in(lambda: share(lock, "the store", told.append, "is being cleaned by", wait=True), told)
    assert told[0].startswith(f"waiting for the store, which is being cleaned by process {process.pid} on ")
    process.communicate("\n", timeout=10)
    thread.join(10)
    assert told[1:] == ["mine"]


def test_who_cannot_write_there_shares_nothing_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    went_on = False
    with share(tmp_path / "file" / "x.lock", "the store", print, "is being cleaned by", wait=False):
        went_on = True
    assert went_on


def test_a_transient_lock_whose_file_is_gone_is_let_go(lock: Path) -> None:
    with hold(lock, "x", print, transient=True):
        lock.unlink()
    with hold(lock, "x", print, wait=False, transient=True):
        pass


def test_a_transient_lock_leaves_no_file_and_still_lets_in_one_at_a_time(lock: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def run() -> None:
        for _ in range(15):
            with hold(lock, "x", lambda _: None, transient=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    before = open_files()
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 30
    assert max(most) == 1
    assert not lock.exists()
    assert open_files() == before


def test_a_resource_has_as_many_places_as_it_says(tmp_path: Path) -> None:
    told: list[str] = []
    order: list[str] = []

    def third() -> None:
        with take(tmp_path, "gpu", 2, told.append, wait=False):  # this process's own stages are always waited for
            order.append("third")

    with take(tmp_path, "gpu", 2, told.append, wait=True):
        with take(tmp_path, "gpu", 2, told.append, wait=True):
            thread = threading.Thread(target=third)
            thread.start()
            time.sleep(0.3)
            order.append("one is free")
        thread.join(timeout=10)

    assert order == ["one is free", "third"]
    assert told == [], "nobody need be told of stages of the same build"


def test_a_resource_that_another_process_holds_is_refused_or_waited_for(lock: Path, start: Start) -> None:
    process = start("take")
    told: list[str] = []
    with (
        pytest.raises(StoreError, match=f"the resource gpu is held by process {process.pid} on .*\n  wait for it"),
        take(lock.parent, "gpu", 1, print, wait=False),
    ):
        pytest.fail("taken twice")
    thread = wait_in(lambda: take(lock.parent, "gpu", 1, told.append, wait=True), told)
    time.sleep(0.3)
    assert len(told) == 1, "once, however often it is tried"
    assert told[0].startswith(f"waiting for the resource gpu, which is held by process {process.pid} on ")
    process.communicate("\n", timeout=10)
    thread.join(10)
    assert told[1:] == ["mine"]
