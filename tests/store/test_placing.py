"""Large files share their blocks with the store where the file system can, and an edit never reaches it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from modelyard.files import placing
from modelyard.store.local import Store
from tests.standins.manifests import manifest_of
from tests.store.kept import keep, record_of, write


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
def test_what_is_edited_while_a_link_comes_is_hashed_again(store: Store, tmp_path: Path) -> None:
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
