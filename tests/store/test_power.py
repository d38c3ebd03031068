"""A kill or a power cut at any step of keeping a result leaves a store that is right: the result is there, or it is not.

The steps of `Store.add` are watched. Before each, what the disk would hold is written down in three ways: all of it (a kill),
only what was synced (names and bytes), and all names with only the bytes that were synced, zeros for the rest.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.files import atomic as durable
from modelyard.files.digests import DigestTable
from modelyard.store.local import Store
from tests.standins.manifests import manifest_of, record_of

KEY = "ab" * 32
EARLIER = "cd" * 32


class Disk:
    """What of a folder is on the disk for sure, and copies of what a crash would leave of it at each step."""

    def __init__(self, root: Path, crashes: Path) -> None:
        self._root, self._crashes = root, crashes
        self._lock = threading.RLock()
        self._names: dict[Path, list[str]] = {}
        self._bytes: dict[int, bytes] = {}
        self.left: list[Path] = []
        for place in (root, *root.rglob("*")):
            self.synced(place)

    def synced(self, path: Path) -> None:
        """Note that `path` is on the disk as it is now."""
        with self._lock:
            if path.is_dir():
                self._names[path] = [one.name for one in path.iterdir()]
            else:
                self._bytes[path.stat().st_ino] = path.read_bytes()

    def step(self) -> None:
        """Write down what a crash would leave now."""
        with self._lock:
            place = self._crashes / str(len(self.left) // 3)
            for how in ("killed", "synced", "names"):
                self._copy(self._root, place / how, how)
                self.left.append(place / how)

    def _copy(self, folder: Path, target: Path, how: str) -> None:
        target.mkdir(parents=True)
        there = {one.name for one in folder.iterdir()}
        for name in there & set(self._names.get(folder, [])) if how == "synced" else there:
            source = folder / name
            if source.is_dir():
                self._copy(source, target / name, how)
            elif not name.startswith("digests.sqlite"):
                now = source.read_bytes()
                kept = now if how == "killed" else self._bytes.get(source.stat().st_ino, bytes(len(now)))
                (target / name).write_bytes(kept)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Disk, Path], None]:
    def begin(disk: Disk, root: Path) -> None:
        def before(module: Any, name: str) -> None:
            plain = getattr(module, name)

            def wrapped(*given: Any, **named: Any) -> Any:
                if str(given[0]).startswith(str(root)):
                    disk.step()
                return plain(*given, **named)

            monkeypatch.setattr(module, name, wrapped)

        sync = durable._sync
        monkeypatch.setattr(durable, "_sync", lambda path: (sync(path), disk.synced(Path(path)))[0])
        before(durable, "_sync")
        for name in ("replace", "mkdir", "unlink", "rmdir", "open"):
            before(os, name)

    return begin


@pytest.fixture
def tables() -> Iterator[list[DigestTable]]:
    made: list[DigestTable] = []
    yield made
    for table in made:
        table.close()


def test_whatever_a_crash_leaves_is_right(
    tmp_path: Path, watch: Callable[[Disk, Path], None], tables: list[DigestTable]
) -> None:
    def open_store(root: Path) -> Store:
        tables.append(DigestTable(root / "digests.sqlite", shared=True))
        return Store(root, tables[-1])

    before, out, root = tmp_path / "before", tmp_path / "out", tmp_path / "store"
    for folder, text in ((before, b"the same"), (out, b"another")):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "model.bin").write_bytes(text)
        (folder / "facts.json").write_bytes(b"the same")
    store = open_store(root)
    store.add(record_of(before, EARLIER), before)
    disk = Disk(root, tmp_path / "crashes")
    watch(disk, root)
    store.add(record_of(out, KEY), out)
    disk.step()
    assert len(disk.left) > 3 * 12

    for number, left in enumerate(disk.left):
        after = open_store(left)
        after.sweep()
        assert list((left / ".unfinished").iterdir()) == [] if (left / ".unfinished").exists() else True
        earlier = after.find(EARLIER)
        assert earlier is not None, (number, left)
        found = after.find(KEY)
        if number >= len(disk.left) - 3:
            assert found is not None, "what was kept is on the disk"
        for record, folder in ((earlier, before), (found, out)):
            if record is not None:
                after.restore(record, left / f"back-{folder.name}")
                assert manifest_of(left / f"back-{folder.name}") == manifest_of(folder)
        after.add(record_of(out, KEY), out)
        assert after.find(KEY) is not None
        shutil.rmtree(left)
