"""Digests of files, each taken once per change: a table keyed by path, inode, size, mtime and ctime.

The table is a cache in the project's state file. Losing it costs time, never a wrong answer. What changed while the machine
ran the last time is read again once after it was started anew: its row may have outlived its bytes.
"""

# ruff: noqa: PTH100 - objects of pathlib cost more than the calls that they wrap, and this is the hot path
from __future__ import annotations

import hashlib
import itertools
import operator
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from modelyard.errors import DataError, StoreError
from modelyard.files.hashing import hash_and_stat, unreadable
from modelyard.system import boot

RACY_NS = 20_000_000
"""A file that changed less than this long ago may change again within the same clock tick of the file system."""

_CLOCK_NS = 3600 * 10**9
"""How far the clock may have been set since the machine was started."""

_BATCH = 1000
"""How many files are looked up and written down at once."""

_REMEMBERED = 100
"""How many files of one artifact are also remembered: they are asked for when a later stage runs; of more, the table is asked."""

_SCHEMA = """
create table if not exists files (
    path text primary key, ino integer, size integer, mtime_ns integer, ctime_ns integer, digest text
) without rowid;
create table if not exists notes (name text primary key, value blob) without rowid;
"""


class FileEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file of an artifact: SHA-256 in hex, size in bytes, and whether it is executable."""

    digest: str
    size: int
    executable: bool = False


def is_executable(info: os.stat_result) -> bool:
    """Tell whether a file's owner may run it: the one bit of its mode that counts in a digest."""
    return bool(info.st_mode & 0o100)


Manifest = dict[str, FileEntry]
"""The files of a folder by their path below it, with `/` between the parts."""


def manifest_digest(manifest: Manifest, part: str = "") -> str:
    """Return the digest of a manifest, or of the file or folder `part` in it.

    Raises:
        DataError: there is no such part.
    """
    names = sorted(name for name in manifest if _within(name, part)) if part else sorted(manifest)
    rows = [(name, (entry := manifest[name]).digest, entry.executable) for name in names]
    if part and not rows:
        msg = f"the artifact has no {part!r}\n  it holds: {', '.join(sorted(manifest)) or 'nothing'}"
        raise DataError(msg)
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")


def walk(folder: Path | str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below `folder`: its path there and its stat, in the same order every time.

    A link to a file stands for the file.

    Raises:
        DataError: something is neither a file nor a folder, cannot be read, or has a name that is not UTF-8.
    """
    todo = [("", str(folder))]
    while todo:
        prefix, path = todo.pop()
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=_by_name)
        except OSError as exc:
            raise unreadable(path, exc) from exc
        for entry in found:
            name = f"{prefix}{entry.name}"
            try:
                info = entry.stat()
            except OSError as exc:
                raise unreadable(entry.path, exc) from exc
            if not name.isprintable():
                _check_name(name, path)
            if stat.S_ISREG(info.st_mode):
                yield name, info
            elif entry.is_dir(follow_symlinks=False):
                todo.append((f"{name}/", entry.path))
            else:
                msg = f"{entry.path}: neither a file nor a folder\n  remove it: only files can be kept"
                raise DataError(msg)


_by_name = operator.attrgetter("name")


def _check_name(name: str, folder: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as exc:
        msg = f"{folder}: {os.fsencode(name)!r} has a name that is not UTF-8\n  rename it"
        raise DataError(msg) from exc


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what the system says of `path` into a `DataError`."""
    try:
        yield
    except OSError as exc:
        raise unreadable(path, exc) from exc


class DigestTable:
    """Answers what a file's digest is, reading the file only when its stat changed."""

    def __init__(self, database: Path, *, shared: bool = False) -> None:
        """Use the file `database`; `shared` if other machines use it too, over a network's file system."""
        self._database, self._shared = database, shared
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._rows: dict[str, tuple[Any, ...]] = {}
        os.register_at_fork(after_in_child=self._forget_connection)

    def file(self, path: str | Path, info: os.stat_result | None = None) -> str:
        """Return the SHA-256 of the file at `path`; `info` is its stat if the caller has it.

        Raises:
            DataError: it cannot be read.
        """
        try:
            info = info or os.stat(path)
            return self.recall(path, info) or self._hash([(os.path.abspath(path), info)])[0]
        except OSError as exc:
            raise unreadable(path, exc) from exc

    def recall(self, path: str | Path, info: os.stat_result) -> str | None:
        """Return the digest of the file at `path`, whose stat is `info`, if it is known; reads nothing."""
        name, mark = str(path), signature(info)
        row = self._rows.get(name)
        if row is None or row[:4] != mark:
            key = os.path.abspath(name)
            row = self._query("select ino, size, mtime_ns, ctime_ns, digest from files where path = ?", key)
        return str(row[4]) if row and row[:4] == mark else None

    def read_ahead(self, folder: Path) -> None:
        """Read what is known of all files below `folder` at once, for who is about to ask for most of them.

        What is known stays true: it says what a file held while it had a certain stat.
        """
        root = f"{os.path.abspath(folder)}/"
        statement = "select path, ino, size, mtime_ns, ctime_ns, digest from files where path > ? and path < ?"
        rows = self._use(lambda c: c.execute(statement, (root, f"{root[:-1]}0")).fetchall())  # "0" comes behind "/"
        self._rows = {row[0]: row[1:] for row in rows}

    def _hash(self, files: Sequence[tuple[str, os.stat_result]]) -> list[str]:
        """Hash files, and write down those that have stood still meanwhile and for a while before."""
        settled_ns = time.time_ns() - RACY_NS
        rows = []
        hashed = hash_and_stat([(path, info.st_size) for path, info in files])
        for (path, info), (digest, after) in zip(files, hashed, strict=True):
            if info.st_ctime_ns < settled_ns and (mark := signature(info)) == signature(after):
                rows.append((path, *mark, digest))
        if rows:
            self._write(rows)
        return [digest for digest, _ in hashed]

    def add(self, files: Iterable[tuple[str | Path, str]]) -> None:
        """Write down digests of files that modelyard has just written itself."""
        self.add_at((path, os.stat(path), digest) for path, digest in files)

    def add_at(self, files: Iterable[tuple[str | Path, os.stat_result, str]]) -> None:
        """Write down digests of files whose content is known to be that of the given stat."""
        rows = [(os.path.abspath(path), *signature(info), digest) for path, info, digest in files]
        if rows:
            self._write(rows)
            self._rows |= {row[0]: row[1:] for row in rows[:_REMEMBERED]}

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
        root = os.path.abspath(path)
        manifest: Manifest = {}
        files = walk(path)
        while batch := list(itertools.islice(files, _BATCH)):
            with reading(path):
                digests = self.files([(f"{root}/{name}", info) for name, info in batch])
            for (name, info), digest in zip(batch, digests, strict=True):
                manifest[name] = FileEntry(digest, info.st_size, is_executable(info))
        return manifest

    def files(self, files: Sequence[tuple[str, os.stat_result]]) -> list[str]:
        """Return the digests of files by absolute path and stat, asking the table once for all.

        Raises:
            OSError: one cannot be read.
        """
        known = self._signatures([path for path, _ in files])
        if not known:
            return self._hash(files)
        digests = [_digest_at(info, known.get(path)) for path, info in files]
        stale = [file for file, digest in zip(files, digests, strict=True) if not digest]
        fresh = iter(self._hash(stale) if stale else ())
        return [digest or next(fresh) for digest in digests]

    def _signatures(self, paths: Sequence[str]) -> dict[str, tuple[Any, ...]]:
        marks = ",".join("?" * len(paths))
        statement = f"select path, ino, size, mtime_ns, ctime_ns, digest from files where path in ({marks})"
        rows = self._use(lambda c: c.execute(statement, paths).fetchall())
        return {row[0]: row[1:] for row in rows}

    def content(self, path: Path) -> str:
        """Return one digest for the content of a file or a folder, whatever its own name is."""
        if path.is_dir():
            return manifest_digest(self.folder(path))
        return self.file(path)

    def known_files(self) -> Iterator[tuple[str, tuple[int, int, int, int], str]]:
        """Yield every row: a path, its `signature` when it was hashed, and its digest."""
        rows = self._rows_after("")
        while rows:
            yield from ((row[0], row[1:5], row[5]) for row in rows)
            rows = self._rows_after(rows[-1][0])

    def _rows_after(self, path: str) -> list[tuple[Any, ...]]:
        statement = "select path, ino, size, mtime_ns, ctime_ns, digest from files where path > ? order by path limit ?"
        return self._use(lambda c: c.execute(statement, (path, _BATCH)).fetchall())  # type: ignore[no-any-return]

    def forget(self, paths: Iterable[str]) -> None:
        """Forget what is known of `paths`; each is hashed again when it is asked for."""
        self._rows = {}
        self._use(
            lambda c: c.executemany("delete from files where path = ?", [(os.path.abspath(path),) for path in paths])
        )

    def note(self, name: str) -> bytes | None:
        """Return a cached value that another part of modelyard wrote under `name`."""
        row = self._query("select value from notes where name = ?", name)
        return row[0] if row else None

    def write_note(self, name: str, value: bytes) -> None:
        """Cache `value` under `name`."""
        self._use(lambda c: c.execute("insert or replace into notes values (?, ?)", (name, value)))

    def _forget_connection(self) -> None:
        """Open the file anew in a forked process (`doit -n 2 -P process`): SQLite's connections do not survive a fork."""
        self._connection = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the state file."""
        with self._lock:
            if self._connection:
                self._connection.close()
                self._connection = None

    def _query(self, statement: str, argument: str) -> tuple[Any, ...] | None:
        return self._use(lambda c: c.execute(statement, (argument,)).fetchone())  # type: ignore[no-any-return]

    def _write(self, rows: Sequence[tuple[str | int, ...]]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("begin immediate")
            with connection:
                connection.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?)", rows)

        self._use(work)

    def _use(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._lock:
            try:
                return work(self._open())
            except sqlite3.DatabaseError as exc:
                if not is_useless(exc):
                    msg = f"{self._database}: cannot be read or written: {exc}\n  check the disk and its permissions"
                    raise StoreError(msg) from exc
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                remove_database(self._database)
                return work(self._open())

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._database, shared=self._shared)
        return self._connection


def _digest_at(info: os.stat_result, row: tuple[Any, ...] | None) -> str:
    """Return the digest in a row of the table if it is that of a file with the stat `info`, else an empty text."""
    return str(row[4]) if row and row[:4] == signature(info) else ""


def is_useless(exc: sqlite3.DatabaseError) -> bool:
    """Tell whether a database is damaged, or has other tables, as another version's may; else the disk is at fault."""
    return not isinstance(exc, sqlite3.OperationalError) or exc.sqlite_errorcode == sqlite3.SQLITE_ERROR


def remove_database(path: Path) -> None:
    """Remove an SQLite file and its log, which SQLite would play back into a new file of the same name."""
    for end in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _connect(path: Path, *, shared: bool) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _prepare(path, shared=shared)
    except (OSError, sqlite3.OperationalError) as exc:
        if isinstance(exc, sqlite3.OperationalError) and is_useless(exc):
            raise
        msg = f"{path}: cannot be opened: {exc}\n  the project's folder must be writable, and its disk must have room"
        raise StoreError(msg) from exc


def _prepare(path: Path, *, shared: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma journal_mode = {'delete' if shared else 'wal'}")  # a network's files know no WAL
    connection.execute("pragma synchronous = off")  # a lost row is a file hashed again
    connection.executescript(_SCHEMA)
    if not shared:  # the store syncs its files before it knows them
        _doubt(connection)
    return connection


def _doubt(connection: sqlite3.Connection) -> None:
    """Forget the files that changed since the start before this one of the machine: a power cut may have taken their bytes."""
    now, began_ns = boot()
    row = connection.execute("select value from notes where name = 'boot'").fetchone()
    before, _, since_ns = row[0].decode().partition(" ") if row else (now, "", "0")
    if before != now:
        connection.execute("delete from files where ctime_ns >= ?", (int(since_ns) - _CLOCK_NS,))
    if row is None or before != now:
        connection.execute("insert or replace into notes values ('boot', ?)", (f"{now} {began_ns}".encode(),))


def signature(info: os.stat_result) -> tuple[int, int, int, int]:
    """Return what of a file's stat changes whenever its bytes do: inode, size in bytes, mtime and ctime in ns."""
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
