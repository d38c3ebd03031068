from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from modelyard.errors import StoreError
from modelyard.files import placing
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import FileEntry, manifest_digest
from modelyard.store.folder import StoreFolder, store_errors
from modelyard.store.local import Store
from modelyard.store.objects import Listed
from modelyard.store.record import Record, discovered_key, object_name, trace_name
from tests.store.conftest import MakeStore
from tests.store.conftest import keep as keep_files
from tests.store.kept import KEY, keep

DATA = b"a model"
ENTRY = FileEntry(hashlib.sha256(DATA).hexdigest(), len(DATA))


@pytest.fixture
def folder(tmp_path: Path, table: DigestTable) -> Iterator[StoreFolder]:
    folder = StoreFolder(tmp_path / "store", table, wait=False)
    yield folder
    folder.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "model.bin"
    file.write_bytes(DATA)
    return file


# Objects


def test_an_object_is_copied_read_only_and_the_file_stays(folder: StoreFolder, file: Path) -> None:
    assert not folder.has(ENTRY)
    assert folder.read(ENTRY, file.parent) is None
    assert folder.write(ENTRY, file)
    assert folder.has(ENTRY)
    there = folder.read(ENTRY, file.parent)
    assert there == folder.object_file(ENTRY.digest) == folder.root / object_name(ENTRY.digest)
    assert there.read_bytes() == file.read_bytes() == DATA
    assert there.stat().st_mode & 0o777 == 0o444
    assert not there.samefile(file)


def test_a_file_on_its_way_in_moves_to_its_place(folder: StoreFolder) -> None:
    with folder.writing() as place:
        (place / "fetched").write_bytes(DATA)
        inode = (place / "fetched").stat().st_ino
        assert folder.write(ENTRY, place / "fetched")
        assert not (place / "fetched").exists()
    assert not place.exists()
    there = folder.object_file(ENTRY.digest)
    assert (there.stat().st_ino, there.stat().st_mode & 0o777) == (inode, 0o444)


def test_a_file_that_is_another_by_now_is_not_kept(folder: StoreFolder, file: Path) -> None:
    file.write_bytes(b"A model")
    assert not folder.write(ENTRY, file)
    assert not folder.has(ENTRY)
    assert list(folder.list("objects")) == []


def test_an_entry_of_another_size_is_not_that_object(folder: StoreFolder, file: Path) -> None:
    folder.write(ENTRY, file)
    assert not folder.has(FileEntry(ENTRY.digest, ENTRY.size + 1))
    assert not folder.object_file(ENTRY.digest).exists(), "one of the two is wrong: a whole one is made anew"


def test_where_the_table_cannot_be_used_the_bytes_themselves_are_looked_at(
    store: Store, table: DigestTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        msg = "not ours to write"
        raise StoreError(msg)

    record = keep(store, tmp_path / "out")
    monkeypatch.setattr(table, "is_known", refuse)
    assert store.has_all(record)
    damaged = store.object_file(record.outputs["model.bin"].digest)
    damaged.chmod(0o644)
    damaged.write_bytes(b"A model")
    assert not store.has_all(record)


def test_a_link_is_known_as_long_as_it_and_the_object_are_the_same_file(
    folder: StoreFolder, file: Path, tmp_path: Path
) -> None:
    assert not folder.is_known_link(file.stat(), ENTRY.digest), "there is no object"
    folder.write(ENTRY, file)
    assert not folder.is_known_link(file.stat(), ENTRY.digest), "it is a copy"
    with folder.preserving_digests():
        os.link(folder.object_file(ENTRY.digest), tmp_path / "link")
    assert not folder.is_known_link((tmp_path / "link").stat(), ENTRY.digest), "small, so nobody vouched for it"
    assert folder.has(ENTRY)
    folder.table.add([(folder.object_file(ENTRY.digest), ENTRY.digest)])
    assert folder.is_known_link((tmp_path / "link").stat(), ENTRY.digest)


@pytest.mark.usefixtures("may_link")
def test_a_large_object_is_still_known_when_it_was_linked_and_no_more_when_it_was_edited(
    folder: StoreFolder, file: Path, tmp_path: Path
) -> None:
    folder.write(ENTRY, file)
    there = folder.object_file(ENTRY.digest)
    with folder.preserving_digests({"model.bin": ENTRY}):
        os.link(there, tmp_path / "link")
    assert folder.table.recall(there, there.stat()) == ENTRY.digest
    assert folder.is_known_link((tmp_path / "link").stat(), ENTRY.digest)
    with folder.preserving_digests({"model.bin": ENTRY}):
        there.chmod(0o644)
        there.write_bytes(b"A model!")
    assert folder.table.recall(there, there.stat()) is None
    assert not folder.is_known_link((tmp_path / "link").stat(), ENTRY.digest)


@pytest.mark.usefixtures("may_link")
def test_what_was_not_known_before_is_not_vouched_for(folder: StoreFolder, file: Path, tmp_path: Path) -> None:
    assert ENTRY.size >= placing.SHARE_FROM_BYTES
    there = folder.object_file(ENTRY.digest)
    there.parent.mkdir(parents=True)
    there.write_bytes(b"A model")  # nobody knows what it holds
    with folder.preserving_digests({"model.bin": ENTRY}):
        os.link(there, tmp_path / "link")
    assert folder.table.recall(there, there.stat()) is None


# Files by name


def test_files_are_listed_by_name_with_their_size(folder: StoreFolder, file: Path) -> None:
    assert list(folder.list("objects")) == []
    folder.write(ENTRY, file)
    (folder.root / "objects" / "gone").symlink_to("nowhere")
    [listed] = folder.list("objects")
    assert (listed.name, listed.size) == (object_name(ENTRY.digest), len(DATA))
    assert listed.used == folder.object_file(ENTRY.digest).stat().st_mtime


def test_a_small_file_is_read_whole_and_one_that_cannot_be_read_is_not_taken_for_none(folder: StoreFolder) -> None:
    (folder.root / "projects" / "a.json").mkdir(parents=True)
    (folder.root / "projects" / "b.json").write_bytes(b"{}")
    names = ("projects/a.json", "projects/b.json", "projects/c.json")
    assert [folder.load(name) for name in names] == [b"", b"{}", None]
    found = [folder.digest(name, 2) for name in names]
    assert found == [None, hashlib.sha256(b"{}").hexdigest(), None]


def test_what_is_removed_frees_its_bytes_and_its_folder_if_that_is_empty(folder: StoreFolder, file: Path) -> None:
    folder.write(ENTRY, file)
    listed = list(folder.list("objects"))
    assert folder.remove(listed, dry_run=True) == len(DATA)
    assert folder.has(ENTRY)
    assert folder.remove([*listed, Listed("objects/aa/bb", 5, 0.0)]) == len(DATA)
    assert list((folder.root / "objects").iterdir()) == []


# Traces


def test_an_unknown_key_has_no_trace_and_a_forgotten_one_has_none(store: Store, tmp_path: Path) -> None:
    assert store.trace(KEY) is None
    record = keep(store, tmp_path / "out")
    assert store.trace(KEY) == record
    store.forget(KEY)
    assert store.trace(KEY) is None
    store.forget(KEY)


def test_a_record_is_found_by_what_it_was_seen_to_read(store: Store, tmp_path: Path) -> None:
    read = {"sizes.json": "ab" * 32}
    record = msgspec.structs.replace(keep(store, tmp_path / "out"), discovered=read)
    store.put_trace(record)
    key = discovered_key(KEY, read)
    assert store.trace(KEY) == record
    assert store.trace(key) == msgspec.structs.replace(record, key=key)


def test_a_store_that_is_closed_leaves_nothing_half_written(store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "out")
    store.close()
    assert list((store.root / ".unfinished").iterdir()) == []


def test_a_later_trace_replaces_an_earlier_one(folder: StoreFolder) -> None:
    records = [Record(stage=f"train:{n}", key=KEY, digest=manifest_digest({}), outputs={}) for n in ("one", "two")]
    for record in records:
        assert folder.put_trace(record)
        assert folder.trace(KEY) == record
    assert [one.name for one in folder.list("traces")] == [trace_name(KEY)]
    folder.trace_file(KEY).write_bytes(folder.trace_file(KEY).read_bytes()[:-9])
    assert folder.trace(KEY) is None


# Who uses it


def test_builds_share_the_store_and_who_cleans_has_it_alone(folder: StoreFolder) -> None:
    in_use = pytest.raises(StoreError, match=r"^the store .*/store is in use by .*\n  wait for it")
    with folder.using(), folder.using(), in_use, folder.cleaning():
        pass
    cleaned = pytest.raises(StoreError, match=r"^the store .*/store is being cleaned by process \d+")
    with folder.cleaning(), cleaned, folder.using():
        pass
    with folder.using():
        pass


def test_a_key_is_made_by_one_and_leaves_no_lock(folder: StoreFolder) -> None:
    with folder.building(KEY, "train:net"), folder.building("cd" * 32, "train:other"):
        held = pytest.raises(StoreError, match=r"^train:net is being built by process \d+ on ")
        with held, folder.building(KEY, "train:net"):
            pass
    assert list((folder.root / "locks").iterdir()) == []


def test_cleaning_waits_for_a_result_that_is_being_kept_and_keeps_builds_out(
    make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store()
    order: list[str] = []

    def clean() -> None:
        with store.cleaning():
            order.append("cleaning")
            time.sleep(0.3)
            order.append("cleaned")

    with store.using():
        cleaner = threading.Thread(target=clean)
        cleaner.start()
        time.sleep(0.4)
        order.append("built")
    while "cleaning" not in order:
        time.sleep(0.01)
    keep_files(store, tmp_path / "made", {"model": b"x"})
    order.append("kept")
    cleaner.join()
    assert order == ["built", "cleaning", "cleaned", "kept"]


# What the system says


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOENT, "/s/a: went away while it was read\n  run `doit` again: it is made anew"),
        (errno.ENOSPC, "/s/a: No space left on device\n  make room on the disk, then run `doit` again: what was built is kept"),
        (errno.EDQUOT, "/s/a: Disk quota exceeded\n  make room on the disk, then run `doit` again: what was built is kept"),
        (errno.EACCES, "/s/a: Permission denied\n  check its permissions, then run `doit` again: what was built is kept"),
    ],
)  # fmt: skip
def test_what_the_system_says_is_told_with_what_to_do(number: int, told: str) -> None:
    with pytest.raises(StoreError) as caught, store_errors(Path("/s")):
        raise OSError(number, os.strerror(number), "/s/a")
    assert str(caught.value) == told


def test_what_is_said_of_no_file_is_told_of_the_store() -> None:
    with pytest.raises(StoreError, match=r"^/s: Permission denied\n"), store_errors(Path("/s")):
        raise OSError(errno.EACCES, "Permission denied")
