"""Files are put in their places whole, together and in order, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.files import atomic as durable
from modelyard.files.atomic import Batch, open_in_folder, replace_folder, replacing, sync


def fill(batch: Batch, folder: Path, count: int) -> list[Path]:
    targets = [folder / f"{number % 7}" / f"{number}.bin" for number in range(count)]
    for number, target in enumerate(targets):
        draft = batch.draft()
        Path(draft).write_text(str(number))
        batch.put(draft, target)
    return targets


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    (tmp_path / "unfinished").mkdir()
    return Batch(tmp_path / "unfinished")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was synced and what was put in its place, in order."""
    found: list[tuple[str, str]] = []
    sync, system, replace = durable._sync, durable._sync_file_system, os.replace
    monkeypatch.setattr(durable, "_sync", lambda path: (sync(path), found.append(("sync", str(path))))[0])
    monkeypatch.setattr(durable, "_sync_file_system", lambda path: (system(path), found.append(("all", str(path))))[0])
    monkeypatch.setattr(os, "replace", lambda a, b: (replace(a, b), found.append(("place", str(b))))[0])
    return found


@pytest.mark.parametrize("count", [1, 3, 40, durable._MANY + 3])
def test_every_file_is_synced_then_gets_its_place_in_order_and_then_its_folder_is_synced(
    tmp_path: Path, batch: Batch, count: int, calls: list[tuple[str, str]]
) -> None:
    targets = fill(batch, tmp_path / "new" / "store", count)
    assert not any(target.exists() for target in targets)
    batch.finish()
    assert [target.read_text() for target in targets] == [str(number) for number in range(count)]
    assert list((tmp_path / "unfinished").iterdir()) == []
    placed = [number for number, (what, _) in enumerate(calls) if what == "place"]
    assert [calls[number][1] for number in placed] == [str(target) for target in targets]
    assert placed == list(range(placed[0], placed[0] + count))
    assert placed[0] == (count if count < durable._MANY else 1)
    made = {str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "store")}
    assert {path for _, path in calls[placed[-1] + 1 :]} == made | {str(target.parent) for target in targets}


def test_nothing_gets_its_place_if_one_cannot_be_synced(tmp_path: Path, batch: Batch) -> None:
    targets = fill(batch, tmp_path, 3)
    batch.put(batch.draft(), tmp_path / "never-written")
    with pytest.raises(FileNotFoundError):
        batch.finish()
    assert not any(target.exists() for target in targets)


def test_nothing_gets_its_place_if_the_check_says_no(tmp_path: Path, batch: Batch) -> None:
    targets = fill(batch, tmp_path, 3)

    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        batch.finish(check)
    assert not any(target.exists() for target in targets)


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


def test_a_file_is_replaced_at_the_end_of_the_block_and_its_folder_made(tmp_path: Path) -> None:
    target = tmp_path / "new" / ("name" * 60)
    for text in ("one", "two"):
        with replacing(target) as draft:
            assert draft.parent == target.parent
            draft.write_text(text)
            assert not target.exists() or target.read_text() == "one"
        assert target.read_text() == text
        assert list(target.parent.iterdir()) == [target]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_beside(tmp_path: Path) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "file") as draft:
            draft.write_text("half")
            raise InterruptedError

    (tmp_path / "file").write_text("whole")
    with pytest.raises(InterruptedError):
        write_half()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_a_file_is_written_first_where_the_caller_says(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    with replacing(tmp_path / "file", tmp_path / "unfinished") as draft:
        draft.write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == ["unfinished"]
    assert (tmp_path / "file").read_text() == "x"


def test_of_two_who_write_at_once_the_last_stays_whole(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as one, replacing(tmp_path / "file") as other:
        one.write_text("one")
        other.write_text("other")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["one"]


def test_a_folder_is_replaced_or_goes_as_a_whole(tmp_path: Path) -> None:
    place, scratch = tmp_path / "place", tmp_path / "scratch"
    scratch.mkdir()
    for word in ("old", "new"):
        new = tmp_path / word
        new.mkdir()
        (new / word).touch()
        replace_folder(place, new, scratch)
        assert [file.name for file in place.iterdir()] == [word]
    replace_folder(place, None, scratch)
    replace_folder(place, None, scratch)
    assert not place.exists()
    assert list(scratch.iterdir()) == []
