from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from modelyard import scratch as scratch_module
from modelyard.errors import StoreError
from modelyard.scratch import scratch, sweep

if TYPE_CHECKING:
    from pathlib import Path

MAKER = """
import sys
from pathlib import Path
from modelyard.scratch import scratch

with scratch(Path(sys.argv[1])) as folder:
    (folder / "half").touch()
    print(folder.name, flush=True)
    sys.stdin.readline()
"""


def test_a_folder_is_there_in_the_block_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    def work() -> None:
        with scratch(tmp_path / "unfinished") as folder:
            (folder / "out").mkdir()
            assert folder.stat().st_mode & 0o77 == 0
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_folder_that_is_taken_away_in_the_block_is_no_error(tmp_path: Path) -> None:
    with scratch(tmp_path / "unfinished") as folder:
        folder.rmdir()
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_module.os, "urandom", bytes)
    (tmp_path / bytes(8).hex()).mkdir()
    with pytest.raises(StoreError, match=f"{tmp_path}: File exists\n  the project's folder must be writable"):
        scratch(tmp_path).__enter__()


def test_who_sweeps_a_folder_in_the_moment_before_it_is_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch_module.os, "urandom", bytes)
    sweeper = scratch_module._alive(tmp_path / bytes(8).hex(), wait=False)
    sweeper.__enter__()
    made: list[bool] = []

    def make() -> None:
        with scratch(tmp_path) as folder:
            made.append(folder.is_dir())

    maker = threading.Thread(target=make)
    maker.start()
    maker.join(0.3)
    assert made == []
    sweeper.__exit__(None, None, None)
    maker.join(10)
    assert made == [True]


def test_a_sweep_takes_what_its_maker_no_longer_holds(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        name = maker.stdout.readline().strip()
        sweep(tmp_path)
        assert (tmp_path / name / "half").exists()
        maker.kill()
        maker.wait()
        assert (tmp_path / name / "half").exists()
        sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_takes_a_folder_without_a_lock_and_a_lock_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "12-ab" / "out").mkdir(parents=True)
    (tmp_path / "34-cd.lock").touch()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    sweep(tmp_path / "never-made")


def test_who_sweeps_in_the_moment_before_a_maker_has_its_lock_costs_it_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def make() -> None:
        with scratch(tmp_path) as folder:
            made.append(folder.is_dir())

    monkeypatch.setattr(scratch_module.os, "urandom", bytes)
    with scratch_module._alive(tmp_path / bytes(8).hex(), wait=False):
        maker = threading.Thread(target=make)
        maker.start()
    maker.join(10)
    assert made == [True]


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="must be writable, and its disk must have room"), scratch(tmp_path / "file"):
        pytest.fail("made")
