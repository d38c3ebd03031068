from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import DataError, StoreError
from modelyard.files import digests
from modelyard.files.digests import DigestTable, FileEntry, manifest_digest, walk
from modelyard.files.hashing import Hashed, Sized, hash_and_stat, hash_file

if TYPE_CHECKING:
    from collections.abc import Iterator

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
"""SHA-256 of `hello`. Source: `printf hello | sha256sum`."""


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DigestTable]:
    table = DigestTable(tmp_path / "state" / "state.sqlite")
    yield table
    table.close()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in order."""
    names: list[str] = []

    def counted(files: list[Sized]) -> list[Hashed]:
        names.extend(Path(path).name for path, _ in files)
        return hash_and_stat(files)

    monkeypatch.setattr(digests, "hash_and_stat", counted)
    return names


def settle(path: Path) -> None:
    """Wait until a change of `path` can no longer fall into the clock tick of an earlier one."""
    while time.time_ns() - path.stat().st_ctime_ns <= digests.RACY_NS:
        time.sleep(0.005)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    settle(path)
    return path


def test_a_digest_is_sha_256(tmp_path: Path, table: DigestTable) -> None:
    assert table.file(write(tmp_path / "a", "hello")) == HELLO


def test_a_file_is_read_once_for_each_change(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    assert {table.file(path) for _ in range(3)} == {HELLO}
    assert hashed == ["a"]
    write(path, "other")
    assert table.file(path) != HELLO
    assert hashed == ["a", "a"]


def test_another_process_does_not_read_it_again(tmp_path: Path, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    for _ in range(2):
        table = DigestTable(tmp_path / "state.sqlite")
        assert table.file(path) == HELLO
        table.close()
    assert hashed == ["a"]


def test_an_edit_that_keeps_size_and_mtime_is_noticed(tmp_path: Path, table: DigestTable) -> None:
    path = write(tmp_path / "a", "hello")
    before, digest = path.stat(), table.file(path)
    path.write_text("HELLO")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert table.file(path) != digest


def test_a_file_put_in_its_place_with_the_same_stamp_is_noticed(tmp_path: Path, table: DigestTable) -> None:
    path, other = write(tmp_path / "a", "hello"), write(tmp_path / "b", "HELLO")
    digest = table.file(path)
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert table.file(path) != digest


def test_a_file_changed_a_moment_ago_is_not_trusted(
    tmp_path: Path, table: DigestTable, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "RACY_NS", 3_600_000_000_000)
    path = tmp_path / "a"
    path.write_text("hello")
    assert table.file(path) == table.file(path) == HELLO
    assert hashed == ["a", "a"], "within a clock tick the stat may not show an edit"


def test_a_digest_of_a_file_that_changed_while_it_was_read_is_not_kept(
    tmp_path: Path, table: DigestTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", "hello")

    read = os.read

    def slow(file: int, count: int) -> bytes:
        found = read(file, count)
        write(path, "HELLO")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", slow)
        assert table.file(path) == HELLO
    assert table.file(path) == hash_file(path) != HELLO


def test_a_file_that_changes_twice_in_one_tick_is_not_trusted_however_long_reading_it_takes(
    tmp_path: Path, table: DigestTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "RACY_NS", 200_000_000)
    path = tmp_path / "a"
    path.write_text("hello")
    before = path.stat()

    def slow(files: list[Sized]) -> list[Hashed]:
        time.sleep(0.3)
        return hash_and_stat(files)

    with monkeypatch.context() as patch:
        patch.setattr(digests, "hash_and_stat", slow)
        assert table.file(path) == HELLO
    assert table.recall(path, before) is None, "a change just after its stat may have the same stat"


def test_what_modelyard_wrote_itself_is_not_read(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    path = write(tmp_path / "a", "hello")
    table.add([(path, HELLO)])
    assert table.is_known(str(path), path.stat(), HELLO)
    assert not table.is_known(str(path), path.stat(), "0" * 64)
    assert hashed == []


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, table: DigestTable) -> None:
    with pytest.raises(DataError, match=r"nothing: cannot be read: No such file"):
        table.file(tmp_path / "nothing")
    assert not table.is_known(str(tmp_path), tmp_path.stat(), HELLO)


# Folders


def test_a_folder_stands_for_names_bytes_and_modes(tmp_path: Path, table: DigestTable) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    write(folder / "a", "hello")
    first = table.content(folder)
    assert table.folder(folder) == {"a": FileEntry(HELLO, 5, executable=False)}
    (folder / "a").chmod(0o755)
    executable = table.content(folder)
    (folder / "a").rename(folder / "b")
    renamed = table.content(folder)
    (folder / "b").rename(folder / "sub" / "b")
    moved = table.content(folder)
    assert len({first, executable, renamed, moved}) == 4
    folder.rename(tmp_path / "elsewhere")
    assert table.content(tmp_path / "elsewhere") == moved


def test_one_changed_file_reads_one_file(tmp_path: Path, table: DigestTable, hashed: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        write(folder / name, name)
    before = table.content(folder)
    write(folder / "b", "x")
    assert table.content(folder) != before
    assert hashed == ["a", "b", "c", "b"]


def test_a_link_to_a_file_counts_as_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write(tmp_path / "data", "hello")
    (folder / "link").symlink_to(tmp_path / "data")
    assert [(name, info.st_size) for name, info in walk(folder)] == [("link", 5)]


@pytest.mark.parametrize("what", ["link to a folder", "dangling link", "pipe"])
def test_what_is_no_file_is_an_error_that_names_it(what: str, tmp_path: Path, table: DigestTable) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    odd = folder / "odd"
    os.mkfifo(odd) if what == "pipe" else odd.symlink_to(tmp_path if what == "link to a folder" else "nowhere")
    with pytest.raises(DataError, match=r"folder/odd: (neither a file|cannot be read)"):
        table.content(folder)


def test_a_name_that_is_not_utf_8_is_an_error_that_names_it(tmp_path: Path, table: DigestTable) -> None:
    (tmp_path / "folder").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "folder") + b"/caf\xe9")).touch()
    with pytest.raises(DataError, match=r"caf\\xe9' has a name that is not UTF-8\n  rename it"):
        table.content(tmp_path / "folder")


FILES = st.dictionaries(
    st.lists(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=3), min_size=1, max_size=3
    ).map("/".join),
    st.builds(FileEntry, st.sampled_from(["a" * 64, "b" * 64]), st.just(1), st.booleans()),
    max_size=5,
)


@given(FILES, FILES)
def test_manifests_have_one_digest_exactly_if_they_are_equal(
    one: dict[str, FileEntry], two: dict[str, FileEntry]
) -> None:
    assert (manifest_digest(one) == manifest_digest(two)) is (one == two)
    assert manifest_digest(one) == manifest_digest(dict(reversed(one.items())))


def test_a_part_has_a_digest_of_its_own() -> None:
    a, b = FileEntry("a" * 64, 1), FileEntry("b" * 64, 1)
    manifest = {"model/m": a, "model.json": b, "models/x": b}
    changed = {**manifest, "model.json": a, "models/x": a}
    assert manifest_digest(manifest, "model") == manifest_digest(changed, "model") != manifest_digest(manifest)
    assert manifest_digest(manifest, "model.json") != manifest_digest(changed, "model.json")


def test_a_part_that_is_not_there_is_an_error_that_lists_what_is() -> None:
    with pytest.raises(DataError, match=r"no 'mode'\n  it holds: model.json"):
        manifest_digest({"model.json": FileEntry("a" * 64, 1)}, "mode")


# The state file


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
        "create table notes (other text)",
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
                c.execute("insert into notes values ('x', zeroblob(99999))"),
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
    monkeypatch.setattr(digests, "_CLOCK_NS", 0)
    between = old.stat().st_ctime_ns + 1
    while new.stat().st_ctime_ns <= between:
        write(new, "hello")

    def known() -> list[bool]:
        table = DigestTable(tmp_path / "state.sqlite")
        found = [table.recall(path, path.stat()) == HELLO for path in (old, new)]
        table.close()
        return found

    monkeypatch.setattr(digests, "boot", lambda: ("first", between))
    table = DigestTable(tmp_path / "state.sqlite")
    table.add([(old, HELLO), (new, HELLO)])
    table.close()
    assert known() == [True, True]
    monkeypatch.setattr(digests, "boot", lambda: ("second", between + 10**12))
    assert known() == [True, False]
    assert known() == [True, False]


# Read ahead


def test_what_was_read_ahead_needs_no_question(
    table: DigestTable, tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, beside = tmp_path / "artifacts" / "a" / "x", tmp_path / "artifacts-not" / "y"
    for path in (inside, beside):
        path.parent.mkdir(parents=True)
        table.file(write(path, "hello"))
    table.read_ahead(tmp_path / "artifacts")
    asked: list[str] = []
    plain = table._query
    monkeypatch.setattr(table, "_query", lambda *given: (asked.append(given[1]), plain(*given))[1])
    assert table.file(inside) == table.file(beside) == HELLO
    assert asked == [str(beside)]
    assert hashed == ["x", "y"]


def test_a_file_that_changed_after_it_was_read_ahead_is_hashed_again(
    table: DigestTable, tmp_path: Path, hashed: list[str]
) -> None:
    path = write(tmp_path / "x", "hello")
    table.file(path)
    table.read_ahead(tmp_path)
    write(path, "jello")
    assert [table.file(path) != HELLO, table.file(path) != HELLO] == [True, True]
    assert hashed == ["x", "x"]
    write(path, "hello")
    assert table.file(path) == HELLO


def test_what_was_read_ahead_can_be_forgotten(table: DigestTable, tmp_path: Path, hashed: list[str]) -> None:
    path = write(tmp_path / "x", "hello")
    table.file(path)
    table.read_ahead(tmp_path)
    table.forget([str(path)])
    assert table.file(path) == HELLO
    assert hashed == ["x", "x"]


def test_what_was_just_written_down_of_an_artifact_needs_no_question_and_of_a_folder_of_many_little_memory(
    table: DigestTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / str(number) for number in range(digests._REMEMBERED + 5)]
    for path in paths:
        path.write_text("hello")
    table.add((path, HELLO) for path in paths)
    asked: list[str] = []
    plain = table._query
    monkeypatch.setattr(table, "_query", lambda *given: (asked.append(given[1]), plain(*given))[1])
    assert {table.recall(path, path.stat()) for path in paths} == {HELLO}
    assert len(asked) == 5
    paths[0].write_text("jello")
    assert table.recall(paths[0], paths[0].stat()) is None
