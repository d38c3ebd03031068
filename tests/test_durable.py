"""Files are put in their places whole, together and in order, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard import durable
from modelyard.durable import Batch, open_in_folder, sync


def fill(batch: Batch, folder: Path, count: int) -> list[Path]:
    targets = [folder / f"{number % 7}" / f"{number}.bin" for number in range(count)]
    for number, target in enumerate(targets):
        batch.beside(target).write_text(str(number))
    return targets


@pytest.mark.parametrize("count", [1, 3, 40, durable._MANY + 3])
def test_every_file_gets_its_place_after_it_was_synced(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    whole: list[str] = []
    plain, system = durable._sync, durable._sync_file_system
    monkeypatch.setattr(durable, "_sync", lambda path: (plain(path), synced.append(path.name)))
    monkeypatch.setattr(durable, "_sync_file_system", lambda path: (system(path), whole.append(path.name)))
    with Batch() as batch:
        targets = fill(batch, tmp_path, count)
        assert not any(target.exists() for target in targets)
        batch.finish()
    assert [target.read_text() for target in targets] == [str(number) for number in range(count)]
    assert sorted(p.name for p in tmp_path.rglob(".*")) == []
    assert (len(synced), len(whole)) == ((count, 0) if count < durable._MANY else (0, 1))


def test_they_come_in_the_order_in_which_they_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    plain = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: (order.append(target.name), plain(path, target))[1])
    with Batch() as batch:
        targets = fill(batch, tmp_path, 5)
        batch.finish()
    assert order == [target.name for target in targets]


def test_nothing_is_left_where_the_block_fails(tmp_path: Path) -> None:
    batch = Batch()
    fill(batch, tmp_path, 3)
    batch.__exit__(ValueError, ValueError("no room"), None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nothing_gets_its_place_if_one_cannot_be_synced(tmp_path: Path) -> None:
    with Batch() as batch:
        targets = fill(batch, tmp_path, 3)
        batch.beside(tmp_path / "never-written")
        with pytest.raises(FileNotFoundError):
            batch.finish()
    assert not any(target.exists() for target in targets)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_file_system_says_why_it_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("x")
    monkeypatch.setattr(os, "open", lambda *_: 12345)
    monkeypatch.setattr(os, "close", lambda _: None)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync([tmp_path / "x"] * durable._MANY)


def test_a_file_is_opened_in_a_folder_that_is_made_if_need_be(tmp_path: Path) -> None:
    for _ in range(2):
        os.close(open_in_folder(tmp_path / "a" / "b" / "file", os.O_WRONLY | os.O_CREAT))
    assert (tmp_path / "a" / "b" / "file").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        open_in_folder(tmp_path / "file" / "below", os.O_WRONLY | os.O_CREAT)
