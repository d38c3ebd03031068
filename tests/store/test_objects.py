"""A result gets from any store to any other, and every store answers alike."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from modelyard.store.file_system import RemoteSettings
from modelyard.store.gc import Bounds, files_of, plan_sweep, read_store
from modelyard.store.objects import UNLISTED_S, ObjectStore, transfer
from modelyard.store.record import object_name, trace_name
from modelyard.store.remote import Remote
from tests.store.conftest import KEY, MakeStore, Place, Told, keep

FILES = {"model.bin": b"a model" * 1000, "copy/model.bin": b"a model" * 1000, "empty": b""}
OTHER = "cd" * 32


@pytest.fixture
def remote(place: Place, told: Told) -> Remote:
    """Return an empty remote."""
    return Remote(RemoteSettings(place[0], options=place[1]), told)


def names_in(store: ObjectStore) -> set[str]:
    return {one.name for folder in ("objects", "traces") for one in store.list(folder)}


def test_a_result_gets_from_any_store_to_any_other(
    remote: Remote, make_store: MakeStore, tmp_path: Path, told: Told
) -> None:
    one, two, three = (make_store(name) for name in ("one", "two", "three"))
    record = keep(one, tmp_path / "made", FILES)
    middle = Remote(RemoteSettings(f"memory://{tmp_path.name}-middle"), told)
    for source, target in ((one, remote), (remote, middle), (middle, two), (two, three)):
        assert transfer(record, source, target)
        assert target.trace(KEY) == record
        assert names_in(target) == names_in(one)
    three.restore(record, tmp_path / "back")
    assert {name: (tmp_path / "back" / name).read_bytes() for name in FILES} == FILES
    assert (one.root / trace_name(KEY)).read_bytes() == remote.load(trace_name(KEY))
    assert not list((three.root / ".unfinished").rglob("*.bin"))
    assert told == []


def test_what_is_not_whole_is_not_transferred(remote: Remote, make_store: MakeStore, tmp_path: Path) -> None:
    one, two = make_store("one"), make_store("two")
    record = keep(one, tmp_path / "made", FILES)
    damaged = one.object_file(record.outputs["model.bin"].digest)
    damaged.chmod(0o644)
    damaged.write_bytes(b"x")
    for target in (remote, two):
        assert not transfer(record, one, target)
        assert target.trace(KEY) is None


def test_every_store_answers_alike(remote: Remote, make_store: MakeStore, tmp_path: Path) -> None:
    one = make_store("one")
    record = keep(one, tmp_path / "made", FILES)
    assert list(remote.list("objects")) == list(remote.list("projects")) == []
    assert transfer(record, one, remote)
    entry = record.outputs["model.bin"]
    name = object_name(entry.digest)
    stores: tuple[ObjectStore, ...] = (one, remote)
    for store in stores:
        assert store.has(entry)
        assert store.digest(name, entry.size) == entry.digest
        assert store.digest(object_name(OTHER), 1) is None
        assert store.load(trace_name(OTHER)) is None
        (listed,) = [found for found in store.list("objects") if found.name == name]
        assert listed.size == entry.size
        assert abs(time.time() - listed.used) < 3600
        assert store.remove([listed], dry_run=True) == entry.size
        assert store.has(entry)
        assert store.remove([listed]) == entry.size
        assert not store.has(entry)
        store.remove([listed])  # what is gone is no error


def test_a_remote_is_swept_as_a_store_here_is_and_what_may_be_on_its_way_stays(
    remote: Remote, make_store: MakeStore, tmp_path: Path
) -> None:
    one = make_store("one")
    records = [
        keep(one, tmp_path / "first", FILES),
        keep(one, tmp_path / "second", {"other": b"other", **FILES}, key=OTHER),
    ]
    for record in records:
        assert transfer(record, one, remote)
    young = read_store(remote)
    assert young.traces.keys() == {KEY, OTHER}
    assert young.size_bytes == read_store(one).size_bytes
    at_once = plan_sweep(young, {KEY}, Bounds(max_size_bytes=0))
    assert at_once.objects == at_once.traces == [], "all of it may be on its way"
    later = time.time() + 2 * UNLISTED_S
    stored = read_store(remote, now=later)
    plan = plan_sweep(stored, {KEY}, Bounds(max_size_bytes=0), now=later)
    assert plan.traces == [OTHER]
    assert plan.objects == [hashlib.sha256(b"other").hexdigest()]
    files = files_of(stored, plan)
    assert [file.name for file in files] == [trace_name(OTHER), object_name(plan.objects[0])]
    remote.remove(files)
    assert read_store(remote, now=later).size_bytes == plan.after_bytes
    assert remote.trace(KEY) == records[0]
