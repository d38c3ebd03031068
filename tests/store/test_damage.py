"""An object or a trace that is damaged is noticed, never given out, and replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.errors import StoreError
from modelyard.files.digests import DigestTable
from modelyard.store.local import Store
from tests.store.kept import KEY, keep
from tests.store.test_local import OTHER_KEY


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
