"""The project's state file, an SQLite database: a cache, which is made anew where it is damaged.

What changed while the machine ran the last time is read again once after it was started anew: its row may have outlived its bytes.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from modelyard.errors import StoreError
from modelyard.system import boot

_CLOCK_NS = 3600 * 10**9
"""How far the clock may have been set since the machine was started."""

_FILES = """
create table if not exists files (
    path text primary key, ino integer, size integer, mtime_ns integer, ctime_ns integer, digest text
) without rowid;
"""
_NOTES = """
drop table if exists notes;
create table if not exists kept (name text primary key, value blob);
"""
"""What a project alone has. `notes`, of earlier versions, had no rowid: whoever looked for a name there read large values, too.

Source: "Clustered Indexes and the WITHOUT ROWID Optimization" in SQLite's documentation: not for rows of more than 50 to 200 bytes.
"""


def is_useless(exc: sqlite3.DatabaseError) -> bool:
    """Tell whether a database is damaged, or has other tables, as another version's may; else the disk is at fault."""
    return not isinstance(exc, sqlite3.OperationalError) or exc.sqlite_errorcode == sqlite3.SQLITE_ERROR


def remove_database(path: Path) -> None:
    """Remove an SQLite file and its log, which SQLite would play back into a new file of the same name."""
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def connect(path: Path, *, shared: bool) -> sqlite3.Connection:
    """Open the state file at `path`; `shared` if other machines use it too, over a network's file system.

    Raises:
        StoreError: it cannot be opened.
    """
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
    connection.executescript(_FILES if shared else _FILES + _NOTES)
    if not shared:  # the store syncs its files before it knows them
        _doubt(connection)
    return connection


def _doubt(connection: sqlite3.Connection) -> None:
    """Forget the files that changed since the start before this one of the machine: a power cut may have taken their bytes."""
    now, began_ns = boot()
    row = connection.execute("select value from kept where name = 'boot'").fetchone()
    before, _, since_ns = row[0].decode().partition(" ") if row else (now, "", "0")
    if before != now:
        connection.execute("delete from files where ctime_ns >= ?", (int(since_ns) - _CLOCK_NS,))
    if row is None or before != now:
        connection.execute("insert or replace into kept values ('boot', ?)", (f"{now} {began_ns}".encode(),))
