"""The content-addressed store: objects by digest, and traces from action keys to outputs.

    objects/ab/cdef...      the bytes of one file
    traces/ab/cdef....json  the record of the stage that an action key stands for

Everything is written beside its place, synced and renamed, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from modelyard.digests import DigestTable, FileEntry, Manifest, hash_file, manifest_digest
from modelyard.errors import StoreError
from modelyard.jsonfiles import write_json

COPY_BELOW_BYTES = 16 * 2**20
"""Smaller files get an inode of their own: editing such an artifact by hand cannot reach the store's copy."""


class InputRecord(msgspec.Struct, frozen=True):
    """What a stage read of an earlier one, and its digest at that time."""

    stage: str
    part: str
    digest: str


class Accepted(msgspec.Struct, frozen=True):
    """That a person took new code as equivalent: who (`user@host`), when (ISO 8601), and the key that it was made under."""

    who: str
    when: str
    from_key: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`stage.json`: what a stage made and of what.

    Attributes:
        stage: `kind:name`.
        key: the action key.
        digest: the digest of the outputs' manifest.
        outputs: every file with its digest and size in bytes.
        inputs: what it read of earlier stages, by role.
        parts: all that the key was made of, by name.
        code: the files that it stands on, with a digest for each function.
        metrics: numbers that the stage reported.
        started: when the stage began, ISO 8601 with time zone.
        duration_s: how long its work took, in seconds.
        peak_memory_bytes: the worker's largest resident set.
        git: the commit it was made at, with `+` behind it if the tree was not clean; empty outside git.
        accepted: set if `doit accept` took the code for equivalent to what made it.
    """

    stage: str
    key: str
    digest: str
    outputs: Manifest
    inputs: dict[str, InputRecord] = {}
    parts: dict[str, Any] = {}
    code: dict[str, dict[str, str]] = {}
    metrics: dict[str, Any] = {}
    started: str = ""
    duration_s: float = 0.0
    peak_memory_bytes: int = 0
    git: str = ""
    accepted: Accepted | None = None


class Brief(msgspec.Struct, frozen=True):
    """The fields of a record that say whether it still holds; the rest is skipped when reading."""

    key: str
    digest: str
    outputs: Manifest


class Store:
    """Keeps the outputs of stages and gives them back."""

    def __init__(self, root: Path, table: DigestTable) -> None:
        self.root, self._table = root, table

    def trace(self, key: str) -> Record | None:
        """Return the record of `key`, or None if there is none or it is damaged."""
        try:
            record = msgspec.json.decode(self._trace(key).read_bytes(), type=Record)
        except (OSError, ValueError):  # msgspec's errors, and text that is not UTF-8
            return None
        return record if record.key == key and record.digest == manifest_digest(record.outputs) else None

    def add(self, record: Record, folder: Path) -> None:
        """Keep the files of `folder`, which `record` describes, and then the record.

        Raises:
            StoreError: the store cannot be written, for instance because the disk is full.
        """
        with _store_errors(self.root):
            for name, entry in record.outputs.items():
                self._keep(folder / name, entry)
            self._write_trace(record)

    def forget(self, key: str) -> None:
        """Forget what `key` stands for; the objects stay."""
        self._trace(key).unlink(missing_ok=True)

    def has(self, record: Record) -> bool:
        """Tell whether every output of `record` is in the store, whole."""
        return all(self._is_whole(entry) for entry in record.outputs.values())

    def restore(self, record: Record, folder: Path) -> None:
        """Write the outputs of `record` into the new folder `folder`.

        Raises:
            StoreError: an object went away meanwhile, or the folder cannot be written.
        """
        with _store_errors(folder):
            folder.mkdir(parents=True)
            for name, entry in record.outputs.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _place(self._object(entry.digest), target, entry)

    def _object(self, digest: str) -> Path:
        return self.root / "objects" / digest[:2] / digest[2:]

    def _trace(self, key: str) -> Path:
        return self.root / "traces" / key[:2] / f"{key[2:]}.json"

    def _is_whole(self, entry: FileEntry) -> bool:
        path = self._object(entry.digest)
        try:
            info = path.stat()
        except OSError:
            return False
        if info.st_size == entry.size and self._table.is_known(str(path), info, entry.digest):
            return True
        with contextlib.suppress(OSError):
            path.unlink()  # damaged: it must not stand in the way of a whole one
        return False

    def _keep(self, path: Path, entry: FileEntry) -> None:
        target = self._object(entry.digest)
        if self._is_whole(entry):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target.parent) as beside:
            _place(path, beside, entry)
            beside.chmod(0o444)
            _sync(beside)
            beside.replace(target)
        self._table.know([(target, entry.digest)])

    def _write_trace(self, record: Record) -> None:
        target = self._trace(record.key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary(target.parent) as beside:
            write_json(beside, record)
            _sync(beside)
            beside.replace(target)


def _place(source: Path, target: Path, entry: FileEntry) -> None:
    """Give `target` the bytes of `source`: a copy when small, else a clone or a hard link, else a copy.

    A hard link shares its mode with the store's object, so what is executable gets an inode of its own.
    """
    large = entry.size >= COPY_BELOW_BYTES
    if not (large and _clone(source, target)):
        if large and not entry.executable and _link(source, target):
            return
        shutil.copyfile(source, target)
    target.chmod(0o755 if entry.executable else 0o644)


def _clone(source: Path, target: Path) -> bool:
    """Share the blocks of `source` copy-on-write, where the file system can (Btrfs, XFS)."""
    ficlone = 0x40049409
    import fcntl

    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new, ficlone, old.fileno())
        except OSError:
            target.unlink()
            return False
    return True


def _link(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    target.chmod(0o444)
    return True


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Give a path in `folder` that nothing else uses, and leave nothing there."""
    descriptor, name = tempfile.mkstemp(prefix=".", dir=folder)
    os.close(descriptor)
    path = Path(name)
    path.unlink()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _store_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            msg = f"{exc.filename or place}: went away while it was read\n  run `doit` again: it is made anew"
        else:
            advice = "make room on the disk" if exc.errno in (errno.ENOSPC, errno.EDQUOT) else "check its permissions"
            msg = f"{exc.filename or place}: {exc.strerror}\n  {advice}, then run `doit` again: what was built is kept"
        raise StoreError(msg) from exc


def manifest_of(folder: Path) -> Manifest:
    """Return the manifest of a folder that was just written, reading every file."""
    from modelyard.digests import walk

    return {
        name: FileEntry(hash_file(folder / name), info.st_size, bool(info.st_mode & 0o100)) for name, info in walk(folder)
    }
