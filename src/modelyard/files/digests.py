"""Digests of files, each taken once per change: a table keyed by path, inode, size, mtime and ctime.

The table is a cache in the project's state file. Losing it costs time, never a wrong answer.
"""

# ruff: noqa: PTH100 - objects of pathlib cost more than the calls that they wrap, and this is the hot path
from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard.errors import DataError, StoreError
from modelyard.files.hashing import hash_and_stat, reading, unreadable
from modelyard.files.manifest import FileEntry, Manifest, is_executable, manifest_digest
from modelyard.files.state_file import connect, is_useless, remove_database
from modelyard.files.walk import walk

RACY_NS = 20_000_000
"""A file that changed less than this long ago may change again within the same clock tick of the file system."""

_BATCH = 1000
"""How many files are looked up and written down at once."""

_REMEMBERED = 100
"""How many files of one artifact are also remembered: they are asked for when a later stage runs; of more, the table is asked."""


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
        self._rows |= {row[0]: row[1:] for row in rows}

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
        """Return the manifest of the folder at `path`, in which compiled Python does not count.

        Raises:
            DataError: something below it is neither a file nor a folder.
        """
        root = os.path.abspath(path)
        manifest: Manifest = {}
        files = walk(path, compiled=False)
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
        """Return a cached value that another part of modelyard wrote under `name`; a table that is `shared` has none."""
        row = self._query("select value from kept where name = ?", name)
        return row[0] if row else None

    def write_note(self, name: str, value: bytes) -> None:
        """Cache `value` under `name`."""
        self._use(lambda c: c.execute("insert or replace into kept values (?, ?)", (name, value)))

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
            self._connection = connect(self._database, shared=self._shared)
        return self._connection


def _digest_at(info: os.stat_result, row: tuple[Any, ...] | None) -> str:
    """Return the digest in a row of the table if it is that of a file with the stat `info`, else an empty text."""
    return str(row[4]) if row and row[:4] == signature(info) else ""


def signature(info: os.stat_result) -> tuple[int, int, int, int]:
    """Return what of a file's stat changes whenever its bytes do: inode, size in bytes, mtime and ctime in ns."""
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
