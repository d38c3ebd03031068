"""What was found out about files stands as long as the files do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from modelyard.code.lookups import Probes
from modelyard.files.digests import RACY_NS

if TYPE_CHECKING:
    from pathlib import Path


def settled(tmp_path: Path) -> Probes:
    """Return probes of a file, a missing file and a folder, none of them young."""
    (tmp_path / "here.py").write_text("1")
    time.sleep(2 * RACY_NS / 1e9)
    probes = Probes()
    assert probes.is_file(tmp_path / "here.py")
    assert not probes.is_file(tmp_path / "missing.py")
    assert not probes.is_file(tmp_path)
    return probes


def test_what_did_not_change_stands(tmp_path: Path) -> None:
    assert settled(tmp_path).is_current()


@pytest.mark.parametrize("name", ["here.py", "missing.py", "other.py"])
def test_a_written_file_is_seen(tmp_path: Path, name: str) -> None:
    probes = settled(tmp_path)
    (tmp_path / name).write_text("2")
    assert not probes.is_current()


def test_a_removed_file_is_seen(tmp_path: Path) -> None:
    probes = settled(tmp_path)
    (tmp_path / "here.py").unlink()
    assert not probes.is_current()


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    probes = settled(tmp_path)
    before = (tmp_path / "here.py").stat()
    (tmp_path / "here.py").write_text("2")
    os.utime(tmp_path / "here.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not probes.is_current()


def test_a_file_that_was_just_written_may_change_again_unseen(tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text("1")
    probes = Probes()
    assert probes.is_file(tmp_path / "here.py")
    assert not probes.is_current()
