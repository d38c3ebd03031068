from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from modelyard.errors import StoreError
from modelyard.files import state_file
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import hash_file
from tests.files.settled import HELLO, write


def test_notes_are_kept_between_processes(tmp_path: Path) -> None:
    first = DigestTable(tmp_path / "state.sqlite")
    assert first.note("n") is None
    first.write_note("n", b"\x00value")
    first.close()
    second = DigestTable(tmp_path / "state.sqlite")
    assert second.note("n") == b"\x00value"
    second.close()


def fill(database: Path, folder: Path) -> list[Path]:
    table = DigestTable(database)
    files = []
    for number in range(300):
        files.append(folder / f"{number}-{'x' * 60}")
        files[-1].write_text(str(number))
    table.add((path, hash_file(path)) for path in files)
    table.write_note("big", b"x" * 100_000)
    table.close()
    return files


@pytest.mark.parametrize("damage", ["not a database", "pages", "truncated", "log left behind"])
def test_a_damaged_state_file_is_made_anew(damage: str, tmp_path: Path) -> None:
    database = tmp_path / "state.sqlite"
    files = fill(database, tmp_path)
    whole = database.read_bytes()
    assert len(whole) > 20 * 4096
    if damage == "pages":
        database.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    elif damage == "truncated":
        database.write_bytes(whole[: len(whole) // 2])
    else:
        database.write_bytes(b"this is no database" * 500)
    if damage == "log left behind":
        (tmp_path / "state.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82" + b"\xa5" * 5000)
    table = DigestTable(database)
    assert [table.file(path) for path in files] == [hash_file(path) for path in files]
    table.write_note("big", b"new")
    assert table.note("big") == b"new"
    table.close()
    again = DigestTable(database)
    assert [again.file(path) for path in files] == [hash_file(path) for path in files]
    again.close()


def test_a_state_file_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/state.sqlite: cannot be opened"):
        DigestTable(tmp_path / "file" / "state.sqlite").note("n")


@pytest.mark.parametrize(
    "statement",
    [
        "create table kept (other text)",
        "create table files (path text primary key, digest text, seen text)",
        "create view files as select 1 as path",
    ],
)
def test_the_tables_of_another_version_are_made_anew(statement: str, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    connection.execute(statement)
    connection.close()
    path = write(tmp_path / "x", "hello")
    table = DigestTable(tmp_path / "state.sqlite")
    assert (table.note("n"), table.file(path)) == (None, HELLO)
    table.add([(path, HELLO)])
    table.close()
    again = DigestTable(tmp_path / "state.sqlite")
    assert again.recall(path, path.stat()) == HELLO
    again.close()


def test_a_full_disk_makes_no_state_file_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = DigestTable(tmp_path / "state.sqlite")
    table.write_note("n", b"kept")
    with pytest.raises(StoreError, match=r"state.sqlite: cannot be read or written: database or disk is full"):
        table._use(
            lambda c: (
                c.execute("pragma max_page_count = 1"),
                c.execute("insert into kept values ('x', zeroblob(99999))"),
            )
        )
    table.close()
    again = DigestTable(tmp_path / "state.sqlite")
    assert again.note("n") == b"kept"
    again.close()


def test_what_changed_since_the_last_start_of_the_machine_is_read_again_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = write(tmp_path / "old", "hello"), write(tmp_path / "new", "hello")
    monkeypatch.setattr(state_file, "_CLOCK_NS", 0)
    between = old.stat().st_ctime_ns + 1
    while new.stat().st_ctime_ns <= between:
        write(new, "hello")

    def known() -> list[bool]:
        table = DigestTable(tmp_path / "state.sqlite")
        found = [table.recall(path, path.stat()) == HELLO for path in (old, new)]
        table.close()
        return found

    monkeypatch.setattr(state_file, "boot", lambda: ("first", between))
    table = DigestTable(tmp_path / "state.sqlite")
    table.add([(old, HELLO), (new, HELLO)])
    table.close()
    assert known() == [True, True]
    monkeypatch.setattr(state_file, "boot", lambda: ("second", between + 10**12))
    assert known() == [True, False]
    assert known() == [True, False]
