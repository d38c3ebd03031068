from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import StoreError
from modelyard.files import placing
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import manifest_digest
from modelyard.store import folder as store_folder
from modelyard.store.local import Store
from modelyard.store.record import Record, discovered_key
from tests.standins.manifests import manifest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "ab" * 32
OTHER_KEY = "cd" * 32


@pytest.fixture
def table(tmp_path: Path) -> Iterator[DigestTable]:
    table = DigestTable(tmp_path / "state.sqlite")
    yield table
    table.close()


@pytest.fixture
def may_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of four bytes be linked, as for a user whom modes mean something to, on a file system that cannot clone."""
    monkeypatch.setattr(placing, "SHARE_FROM_BYTES", 4)
    monkeypatch.setattr(store_folder, "SHARE_FROM_BYTES", 4)
    monkeypatch.setattr(placing, "clone", lambda source, target: False)
    monkeypatch.setattr(placing.os, "geteuid", lambda: 1000)


@pytest.fixture
def store(tmp_path: Path, table: DigestTable) -> Store:
    return Store(tmp_path / "store", table)


def write(folder: Path, files: dict[str, tuple[bytes, bool]]) -> Path:
    folder.mkdir(parents=True)
    for name, (content, executable) in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)
    return folder


def record_of(folder: Path, key: str = KEY) -> Record:
    outputs = manifest_of(folder)
    return Record(stage="train:net", key=key, digest=manifest_digest(outputs), outputs=outputs, metrics={"loss": 0.5})


def keep(store: Store, folder: Path, content: bytes = b"a model", name: str = "model.bin") -> Record:
    record = record_of(write(folder, {name: (content, False), "empty": (b"", False)}))
    store.add(record, folder)
    return record


def objects(store: Store) -> list[Path]:
    return [path for path in (store.root / "objects").rglob("*") if path.is_file()]


def half_made(store: Store) -> list[Path]:
    return list((store.root / ".unfinished").glob("*/*"))


def traces(store: Store) -> list[Path]:
    return [path for path in (store.root / "traces").rglob("*") if path.is_file()]


# What goes in comes out


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.tuples(st.binary(max_size=40), st.booleans()), max_size=6
)


def _is_tree(files: dict[str, tuple[bytes, bool]]) -> bool:
    return not any(one != two and two.startswith(f"{one}/") for one in files for two in files)


@settings(max_examples=40)
@given(TREES.filter(_is_tree), st.sampled_from([8, 2**24]))
def test_what_is_restored_is_what_was_added(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[bytes, bool]], copy_below: int
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    table = DigestTable(folder / "state.sqlite")
    store = Store(folder / "store", table)
    record = record_of(write(folder / "out", files))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placing, "SHARE_FROM_BYTES", copy_below)
        store.add(record, folder / "out")
        assert store.has_all(record)
        assert store.trace(KEY) == record
        store.restore(record, folder / "back")
    found = {
        str(path.relative_to(folder / "back")): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in (folder / "back").rglob("*")
        if path.is_file()
    }
    assert found == files
    assert manifest_of(folder / "back") == record.outputs
    table.close()
    shutil.rmtree(folder)


def test_equal_files_are_kept_once(store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "one")
    before = [(path, path.stat().st_ino) for path in objects(store)]
    store.add(record_of(write(tmp_path / "two", {"other": (b"a model", True)}), OTHER_KEY), tmp_path / "two")
    assert [(path, path.stat().st_ino) for path in objects(store)] == before
    assert len(traces(store)) == 2


def test_an_unknown_key_has_no_trace_and_a_forgotten_one_has_none(store: Store, tmp_path: Path) -> None:
    assert store.trace(KEY) is None
    record = keep(store, tmp_path / "out")
    assert store.trace(KEY) == record
    store.forget(KEY)
    assert store.trace(KEY) is None
    store.forget(KEY)


def test_nothing_is_left_beside_what_is_kept(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.add(record, tmp_path / "out")
    assert half_made(store) == []


# Copies and links


def test_editing_a_small_artifact_by_hand_does_not_reach_the_store(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.restore(record, tmp_path / "back")
    for folder in ("out", "back"):
        (tmp_path / folder / "model.bin").write_bytes(b"edited!")
    assert store.has_all(record)
    store.restore(record, tmp_path / "again")
    assert (tmp_path / "again" / "model.bin").read_bytes() == b"a model"


@pytest.mark.usefixtures("may_link")
def test_a_large_file_shares_its_blocks_with_the_store(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.restore(record, tmp_path / "back")
    inodes = {(tmp_path / folder / "model.bin").stat().st_ino for folder in ("out", "back")}
    assert len(inodes) == 1
    assert (tmp_path / "back" / "model.bin").stat().st_mode & 0o222 == 0, "an edit must not reach the store by accident"


def test_a_large_program_stays_executable(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "SHARE_FROM_BYTES", 4)
    for clone in (placing.clone, lambda source, target: False):
        monkeypatch.setattr(placing, "clone", clone)
        folder = tmp_path / str(id(clone))
        record = record_of(write(folder / "out", {"server": (b"#!/bin/sh\n", True)}))
        store.add(record, folder / "out")
        store.restore(record, folder / "back")
        assert manifest_of(folder / "back") == record.outputs


def test_a_file_system_that_cannot_share_blocks_is_asked_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(placing, "SHARE_FROM_BYTES", 4)
    monkeypatch.setattr(placing, "_no_clones", set())
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    record = keep(store, tmp_path / "out")
    for name in ("one", "two"):
        store.restore(record, tmp_path / name)
        assert manifest_of(tmp_path / name) == record.outputs
    assert len(asked) == 1


def test_a_clone_that_fails_for_another_reason_is_tried_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise OSError(errno.EINVAL, "not now")

    monkeypatch.setattr(placing, "SHARE_FROM_BYTES", 4)
    monkeypatch.setattr(placing, "_no_clones", set())
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    record = keep(store, tmp_path / "out")
    store.restore(record, tmp_path / "one")
    assert len(asked) == 2


@pytest.mark.usefixtures("may_link")
def test_an_edit_through_a_hard_link_is_noticed(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.restore(record, tmp_path / "back")
    path = tmp_path / "back" / "model.bin"
    path.chmod(0o644)
    path.write_bytes(b"EDITED!")
    assert not store.has_all(record)


@pytest.mark.usefixtures("may_link")
def test_what_is_edited_while_a_link_comes_is_not_vouched_for(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    path = store.object_file(record.outputs["model.bin"].digest)
    with store.preserving_digests(record.outputs):
        os.link(path, tmp_path / "another")
    assert store.is_known_link(path.stat(), record.outputs["model.bin"].digest), "a link alone changes nothing"
    with store.preserving_digests(record.outputs):
        path.chmod(0o644)
        path.write_bytes(b"b model")
        os.link(path, tmp_path / "a third")
    assert not store.is_known_link(path.stat(), record.outputs["model.bin"].digest)
    assert not store.has_all(record)


# Damage


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def damage_by_a_folder(path: Path) -> None:
    path.unlink()
    (path / "deeper").mkdir(parents=True)


@pytest.mark.parametrize("damage", [damage_truncate, damage_flip, damage_by_a_folder, Path.unlink])
def test_a_damaged_object_is_not_trusted_and_is_replaced(damage: object, store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    target = store.object_file(record.outputs["model.bin"].digest)
    target.chmod(0o644)
    damage(target)  # type: ignore[operator]
    assert not store.has_all(record)
    assert not target.exists(), "it must not stand in the way of a whole one"
    store.add(record, tmp_path / "out")
    assert store.has_all(record)
    assert target.read_bytes() == b"a model"


def test_a_damaged_object_is_replaced_by_whoever_adds_the_same_bytes(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    target = store.object_file(record.outputs["model.bin"].digest)
    target.chmod(0o644)
    damage_flip(target)
    store.add(record, tmp_path / "out")
    assert target.read_bytes() == b"a model"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"train:net"', "3"),
        ("{", "["),
        (KEY, OTHER_KEY),
        ('"model.bin"', '"model.bim"'),
        ('"model.bin"', '"../model.bin"'),
        ('"model.bin"', '"stage.json"'),
        ("false", "true"),
        ('"digest": "', '"digest": "0'),
        ("0.5", "\xff"),
    ],
)
def test_a_damaged_trace_is_none(old: str, new: str, store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "out")
    path = store.trace_file(KEY)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new), encoding="latin-1")
    assert store.trace(KEY) is None


def test_a_record_without_the_fields_that_came_later_says_nothing_of_them(store: Store) -> None:
    path = store.trace_file(KEY)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"stage": "train:net", "key": KEY, "digest": manifest_digest({}), "outputs": {}}))
    record = store.trace(KEY)
    assert record is not None
    assert (record.started, record.git, record.made_on) == ("", "", "")
    assert (record.duration_s, record.peak_memory_bytes) == (0, 0)
    assert (record.reproducible, record.accepted, record.discovered) == (True, None, {})


def test_a_record_is_found_by_what_it_was_seen_to_read(store: Store, tmp_path: Path) -> None:
    read = {"sizes.json": "ab" * 32}
    record = msgspec.structs.replace(keep(store, tmp_path / "out"), discovered=read)
    store.put_trace(record)
    key = discovered_key(KEY, read)
    assert store.trace(KEY) == record
    assert store.trace(key) == msgspec.structs.replace(record, key=key)


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


def test_a_store_that_is_closed_leaves_nothing_half_written(store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "out")
    store.close()
    assert list((store.root / ".unfinished").iterdir()) == []


def test_an_object_that_gave_other_bytes_is_not_trusted_again(store: Store, table: DigestTable, tmp_path: Path) -> None:
    """What the table says of it, which is all that is looked at before, is forgotten."""
    record = keep(store, tmp_path / "out")
    damaged = store.object_file(record.outputs["model.bin"].digest)
    damaged.chmod(0o644)
    damaged.write_bytes(b"A model")
    table.add([(str(damaged), record.outputs["model.bin"].digest)])
    assert store.has_all(record)
    with pytest.raises(StoreError, match="has other bytes than its name says"):
        store.restore(record, tmp_path / "back")
    assert not store.has_all(record)


def test_a_trace_cut_anywhere_is_none(store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "out")
    path = store.trace_file(KEY)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        assert store.trace(KEY) is None
    path.write_bytes(whole)
    assert store.trace(KEY) is not None


def test_a_bit_flipped_in_what_was_kept_never_gives_another_artifact(store: Store, tmp_path: Path) -> None:
    """Only facts for people (metrics, times) may differ; names, modes, digests and the key may not."""
    record = keep(store, tmp_path / "out")
    path = store.trace_file(KEY)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        found = store.trace(KEY)
        if found is not None and store.has_all(found):
            assert (found.key, found.digest, found.outputs) == (record.key, record.digest, record.outputs)


def test_an_object_that_goes_away_while_it_is_restored_is_an_error_for_a_person(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.object_file(record.outputs["model.bin"].digest).unlink()
    with pytest.raises(StoreError, match=r"went away while it was read\n  run `doit` again"):
        store.restore(record, tmp_path / "back")


# Places that cannot be written


def test_a_store_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path, table: DigestTable) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/store.*\n  "):
        keep(Store(tmp_path / "file" / "store", table), tmp_path / "out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, b"size=256k") != 0:
        pytest.skip(f"a small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    yield place
    libc.umount2(os.fsencode(place), 2)


def test_a_full_disk_leaves_no_half_made_object(small_disk: Path, tmp_path: Path, table: DigestTable) -> None:
    store = Store(small_disk / "store", table)
    keep(store, tmp_path / "small-out", b"fits")
    files = {f"part{n}": (bytes([n]) * 100_000, False) for n in range(4)}
    large = record_of(write(tmp_path / "large", files), OTHER_KEY)
    with pytest.raises(StoreError, match=r"No space left on device\n  make room on the disk, then run `doit` again"):
        store.add(large, tmp_path / "large")
    assert store.trace(OTHER_KEY) is None
    assert half_made(store) == []
    for path in objects(store):
        assert path.stat().st_size in (0, 4, 100_000)
    assert store.trace(KEY) is not None


# Several at once


def _add_many(root: Path, folder: Path, database: Path, start: object) -> None:
    store = Store(root, DigestTable(database))
    record = record_of(folder)
    start.wait()  # type: ignore[attr-defined]
    for _ in range(20):
        store.add(record, folder)
        assert store.trace(KEY) == record
        assert store.has_all(record)


def test_two_processes_may_add_the_same_record(tmp_path: Path) -> None:
    files = {f"part{n}": (os.urandom(5000), n % 2 == 0) for n in range(10)}
    folder = write(tmp_path / "out", files)
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    arguments = [(tmp_path / "store", folder, tmp_path / f"state{n}.sqlite", start) for n in range(2)]
    processes = [context.Process(target=_add_many, args=a) for a in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    store = Store(tmp_path / "store", DigestTable(tmp_path / "state.sqlite"))
    record = store.trace(KEY)
    assert record is not None
    assert store.has_all(record)
    assert len(objects(store)) == 10
    assert half_made(store) == []


def test_a_trace_is_json_that_a_person_can_read(store: Store, tmp_path: Path) -> None:
    keep(store, tmp_path / "out")
    text = store.trace_file(KEY).read_text()
    assert json.loads(text)["stage"] == "train:net"
    assert text.count("\n") > 5
    sums = subprocess.run(["sha256sum", *map(str, objects(store))], capture_output=True, text=True, check=True).stdout
    for line in sums.splitlines():
        digest, name = line.split()
        assert digest == "".join(Path(name).parts[-2:])


# Artifacts in a project


def test_a_file_that_does_not_belong_to_an_artifact_cannot_get_into_what_is_made_of_it(
    toy_project: Path, doit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The image holds the selected model's folder: what somebody leaves there must not be shipped."""
    assert doit(toy_project, "image").returncode == 0
    image = toy_project / "artifacts" / "image" / "toy" / "image.tar"
    before = image.read_bytes()
    stray = toy_project / "artifacts" / "select" / "toy" / "model" / "secret.txt"
    stray.write_text("not to be shipped")
    shutil.rmtree(toy_project / "artifacts" / "image")
    shutil.rmtree(toy_project / ".modelyard" / "store" / "traces")
    again = doit(toy_project, "image")
    assert again.returncode == 0, again.stdout
    assert image.read_bytes() == before
    assert not stray.exists()
