"""Digests of files, each taken once per change: a table keyed by path, inode, size, mtime and ctime.

The table is a cache in the project's state file. Losing it costs time, never a wrong answer.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import DataError, StoreError

_RACY_NS = 20_000_000
"""A file that changed less than this long ago may change again within the same clock tick of the file system."""

_SCHEMA = """
create table if not exists files (
    path text primary key, ino integer, size integer, mtime_ns integer, ctime_ns integer, digest text
) without rowid;
create table if not exists notes (name text primary key, value blob) without rowid;
"""


class FileEntry(msgspec.Struct, frozen=True, array_like=True):
    """One file of an artifact: SHA-256 in hex, size in bytes, and whether it is executable."""

    digest: str
    size: int
    executable: bool = False


Manifest = dict[str, FileEntry]
"""The files of a folder by their path below it, with `/` between the parts."""


def manifest_digest(manifest: Manifest, part: str = "") -> str:
    """Return the digest of a manifest, or of the file or folder `part` in it.

    Raises:
        DataError: there is no such part.
    """
    rows = [(name, e.digest, e.executable) for name, e in sorted(manifest.items()) if _within(name, part)]
    if part and not rows:
        msg = f"the artifact has no {part!r}\n  it holds: {', '.join(sorted(manifest)) or 'nothing'}"
        raise DataError(msg)
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def _within(name: str, part: str) -> bool:
    return not part or name == part or name.startswith(f"{part}/")


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below `folder`: its path there and its stat, in the same order every time.

    A link to a file stands for the file.

    Raises:
        DataError: something is neither a file nor a folder, cannot be read, or has a name that is not UTF-8.
    """
    todo = [("", str(folder))]
    while todo:
        prefix, path = todo.pop()
        with _reading(path), os.scandir(path) as entries:
            found = sorted(entries, key=lambda e: e.name)
        for entry in found:
            name = f"{prefix}{entry.name}"
            with _reading(entry.path):
                info = entry.stat()
            if not name.isprintable():
                _check_name(name, path)
            if stat.S_ISREG(info.st_mode):
                yield name, info
            elif entry.is_dir(follow_symlinks=False):
                todo.append((f"{name}/", entry.path))
            else:
                msg = f"{entry.path}: neither a file nor a folder\n  remove it: only files can be kept"
                raise DataError(msg)


def _check_name(name: str, folder: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        msg = f"{folder}: {os.fsencode(name)!r} has a name that is not UTF-8\n  rename it"
        raise DataError(msg) from exc


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turn what the system says of `path` into a `DataError`."""
    try:
        yield
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise DataError(msg) from exc


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - Path.open costs more than the stat it saves
        return hashlib.file_digest(file, "sha256").hexdigest()


class DigestTable:
    """Answers what a file's digest is, reading the file only when its stat changed."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def file(self, path: str | Path, info: os.stat_result | None = None) -> str:
        """Return the SHA-256 of the file at `path`; `info` is its stat if the caller has it.

        Raises:
            DataError: it cannot be read.
        """
        with _reading(path):
            return self._file(path, info or os.stat(path))

    def _file(self, path: str | Path, info: os.stat_result) -> str:
        key = os.path.abspath(path)
        known = self._query("select ino, size, mtime_ns, ctime_ns, digest from files where path = ?", key)
        if known and known[:4] == _signature(info):
            return str(known[4])
        digest = hash_file(path)
        after = os.stat(path)
        if _signature(after) == _signature(info) and time.time_ns() - after.st_ctime_ns > _RACY_NS:
            self._write([(key, *_signature(after), digest)])
        return digest

    def know(self, files: Iterable[tuple[Path, str]]) -> None:
        """Write down digests of files that modelyard has just written itself."""
        self._write([(os.path.abspath(path), *_signature(os.stat(path)), digest) for path, digest in files])

    def is_known(self, path: str, info: os.stat_result, digest: str) -> bool:
        """Tell whether `path`, whose stat is `info`, holds `digest`; reads the file if its stat changed."""
        try:
            return self.file(path, info) == digest
        except DataError:
            return False

    def folder(self, path: Path) -> Manifest:
        """Return the manifest of the folder at `path`.

        Raises:
            DataError: something below it is neither a file nor a folder.
        """
        return {
            name: FileEntry(self.file(path / name, info), info.st_size, bool(info.st_mode & 0o100))
            for name, info in walk(path)
        }

    def content(self, path: Path) -> str:
        """Return one digest for the content of a file or a folder, whatever its own name is."""
        if path.is_dir():
            return manifest_digest(self.folder(path))
        return self.file(path)

    def note(self, name: str) -> bytes | None:
        """Return a cached value that another part of modelyard wrote under `name`."""
        row = self._query("select value from notes where name = ?", name)
        return row[0] if row else None

    def write_note(self, name: str, value: bytes) -> None:
        """Cache `value` under `name`."""
        self._use(lambda c: c.execute("insert or replace into notes values (?, ?)", (name, value)))

    def close(self) -> None:
        """Close the state file."""
        with self._lock:
            if self._connection:
                self._connection.close()
                self._connection = None

    def _query(self, statement: str, argument: str) -> tuple[Any, ...] | None:
        return self._use(lambda c: c.execute(statement, (argument,)).fetchone())  # type: ignore[no-any-return]

    def _write(self, rows: list[tuple[str | int, ...]]) -> None:
        self._use(lambda c: c.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?)", rows))

    def _use(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._lock:
            try:
                return work(self._open())
            except sqlite3.OperationalError as exc:
                msg = f"{self._database}: cannot be read or written: {exc}\n  check the disk and its permissions"
                raise StoreError(msg) from exc
            except sqlite3.DatabaseError:  # damaged: it holds nothing that cannot be found again
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                remove_database(self._database)
                return work(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._database)
        return self._connection


def remove_database(path: Path) -> None:
    """Remove an SQLite file and its log, which SQLite would play back into a new file of the same name."""
    for end in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _prepare(path)
    except (OSError, sqlite3.OperationalError) as exc:
        msg = f"{path}: cannot be opened: {exc}\n  the project's folder must be writable, and its disk must have room"
        raise StoreError(msg) from exc


def _prepare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = off")  # a lost row is a file hashed again
    connection.executescript(_SCHEMA)
    return connection


def _signature(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
