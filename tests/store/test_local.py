from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import StoreError
from modelyard.files import placing
from modelyard.files.digests import DigestTable
from modelyard.store.local import Store
from tests.standins.manifests import manifest_of
from tests.store.kept import KEY, half_made, keep, objects, record_of, traces, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OTHER_KEY = "cd" * 32

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


def test_nothing_is_left_beside_what_is_kept(store: Store, tmp_path: Path) -> None:
    record = keep(store, tmp_path / "out")
    store.add(record, tmp_path / "out")
    assert half_made(store) == []


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
