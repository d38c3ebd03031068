from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import StoreError
from modelyard.files import scratch as scratch_module
from modelyard.files.scratch import Scratch

if TYPE_CHECKING:
    from pathlib import Path

MAKER = """
import sys
from pathlib import Path
from modelyard.files.scratch import Scratch

with Scratch(Path(sys.argv[1])).folder() as folder:
    (folder / "half").touch()
    print(folder.parent.name, flush=True)
    sys.stdin.readline()
"""


def test_a_folder_is_there_in_the_block_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")

    def work() -> None:
        with scratch.folder() as folder:
            (folder / "out").mkdir()
            assert folder.parent.stat().st_mode & 0o77 == 0
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert list((tmp_path / "unfinished").glob("*/*")) == []
    scratch.close()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_folder_that_is_taken_away_in_the_block_is_no_error(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.folder() as folder:
        folder.rmdir()
    scratch.close()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / bytes(8).hex()).mkdir()
    with pytest.raises(StoreError, match=f"{tmp_path}: File exists\n  the project's folder must be writable"):
        Scratch(tmp_path).folder().__enter__()


def test_who_sweeps_a_folder_in_the_moment_before_it_is_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    sweeper = scratch_module._alive(tmp_path / bytes(8).hex(), wait=False)
    sweeper.__enter__()
    made: list[bool] = []

    def make() -> None:
        with Scratch(tmp_path).folder() as folder:
            made.append(folder.is_dir())

    maker = threading.Thread(target=make)
    maker.start()
    maker.join(0.3)
    assert made == []
    sweeper.__exit__(None, None, None)
    maker.join(10)
    assert made == [True]


def test_a_process_keeps_one_folder_and_gives_each_time_another_in_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.folder() as one, scratch.folder() as other:
        assert one.parent == other.parent
        assert one != other
    with scratch.folder() as third:
        assert third.parent == one.parent
        assert third not in (one, other)
    scratch.close()
    with scratch.folder() as later:
        assert later.parent != one.parent
    scratch.close()


def test_a_folder_for_drafts_is_used_again_and_empty(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.drafts() as first:
        (first / "0").touch()
    with scratch.drafts() as second:
        assert second == first
        assert list(second.iterdir()) == []
        with scratch.drafts() as other:
            assert other != first, "who needs one at the same time has another"
    scratch.close()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_folder_for_drafts_with_more_in_it_than_files_goes(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.drafts() as first:
        (first / "folder" / "in").mkdir(parents=True)
    assert not first.exists()
    with scratch.drafts() as second:
        assert list(second.iterdir()) == []


def test_drafts_go_when_the_block_raises(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    folders: list[Path] = []

    def write() -> None:
        with scratch.drafts() as folder:
            folders.append(folder)
            (folder / "0").touch()
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert list(folders[0].iterdir()) == []


@pytest.mark.parametrize("what", ["the folder", "its home"])
def test_a_folder_for_drafts_that_a_person_removed_is_made_anew(tmp_path: Path, what: str) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.drafts() as first:
        pass
    shutil.rmtree(first if what == "the folder" else first.parent)
    with scratch.drafts() as second:
        (second / "0").touch()


def test_a_forked_process_has_a_folder_for_drafts_of_its_own(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.drafts() as first:
        pass
    pid = os.fork()
    if pid == 0:
        with scratch.drafts() as mine:
            (mine / "0").touch()
        os._exit(mine == first)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert list(first.iterdir()) == []
    assert [path for path in first.parent.parent.iterdir() if path.is_dir()] == [first.parent]


def test_a_folder_that_a_person_removed_is_made_anew(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "unfinished")
    with scratch.folder():
        shutil.rmtree(tmp_path / "unfinished")
    with scratch.folder() as folder:
        assert folder.is_dir()
    scratch.close()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_nothing_is_left_by_who_does_not_close(tmp_path: Path) -> None:
    maker = subprocess.run([sys.executable, "-c", MAKER, str(tmp_path)], input="", text=True, check=True)
    assert maker.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_forked_process_makes_its_own_and_leaves_that_of_its_parent(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.folder() as mine:
        child = os.fork()
        if child == 0:
            with scratch.folder() as folder:
                is_other = folder.parent != mine.parent
            scratch.close()
            os._exit(0 if is_other and mine.is_dir() and list(tmp_path.glob("*/*")) == [mine] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert mine.is_dir()
    scratch.close()


def test_a_sweep_takes_what_its_maker_no_longer_holds(tmp_path: Path) -> None:
    mine = Scratch(tmp_path)
    with (
        mine.folder() as kept,
        subprocess.Popen(
            [sys.executable, "-c", MAKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as maker,
    ):
        assert maker.stdout is not None
        name = maker.stdout.readline().strip()
        mine.sweep()
        assert list((tmp_path / name).glob("*/half"))
        maker.kill()
        maker.wait()
        assert list((tmp_path / name).glob("*/half"))
        mine.sweep()
        assert not (tmp_path / name).exists()
        assert kept.is_dir(), "what this process makes is left alone"
    mine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_takes_a_folder_without_a_lock_and_a_lock_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "12-ab" / "out").mkdir(parents=True)
    (tmp_path / "34-cd.lock").touch()
    Scratch(tmp_path).sweep()
    assert list(tmp_path.iterdir()) == []
    Scratch(tmp_path / "never-made").sweep()


def test_who_sweeps_in_the_moment_before_a_maker_has_its_lock_costs_it_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def make() -> None:
        with Scratch(tmp_path).folder() as folder:
            made.append(folder.is_dir())

    monkeypatch.setattr(os, "urandom", bytes)
    with scratch_module._alive(tmp_path / bytes(8).hex(), wait=False):
        maker = threading.Thread(target=make)
        maker.start()
    maker.join(10)
    assert made == [True]


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="must be writable, and its disk must have room"),
        Scratch(tmp_path / "file").folder(),
    ):
        pytest.fail("made")
