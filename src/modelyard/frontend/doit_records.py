"""doit's records. A stage keeps its own, in `stage.json`; other tasks of a dodo.py keep theirs here.

doit holds records in memory until it ends, so a killed build loses them. This backend commits each task
as soon as it is done. For stages it has nothing to lose: whether one is up to date is read off its artifact.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doit.dependency import FileChangedChecker
from doit.exceptions import InvalidDodoFile

from modelyard.files.digests import DigestTable
from modelyard.files.state_file import is_useless, remove_database

forget_stage: dict[str, Callable[[], None]] = {}
"""For each stage's task, what `doit forget` does; filled when the project is loaded, in the same process."""

_STAGE = "see stage.json"


class Records:
    """A doit backend with a row per task, committed when the task is saved."""

    desc = "one commit per task; stages keep their own records"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:  # noqa: ARG002 - doit's interface
        self.name, self._codec = name, codec
        self._tasks: dict[str, dict[str, Any]] = {}
        self._saved: dict[str, str] | None = None
        self._connection: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(Path(self.name))
        return self._connection

    def _run(self, statement: str, *values: str) -> list[Any]:
        """Run a statement and return its rows; a damaged file is made anew, which costs work but loses none."""
        try:
            return self._open().execute(statement, values).fetchall()
        except (OSError, sqlite3.DatabaseError) as exc:
            if isinstance(exc, OSError) or not is_useless(exc):
                msg = f"{self.name}: cannot be opened: {exc}\n  the project's folder must be writable, and its disk must have room"
                raise InvalidDodoFile(msg) from None
            self.dump()
            remove_database(Path(self.name))
            return self._open().execute(statement, values).fetchall()

    def _load(self, task: str) -> dict[str, Any]:
        if task not in self._tasks:
            if self._saved is None:  # all at once: doit asks for each task
                self._saved = dict(self._run("select task, data from doit"))
            try:
                self._tasks[task] = self._codec.decode(self._saved[task]) if task in self._saved else {}
            except ValueError:  # damaged: the task runs again
                self._tasks[task] = {}
        return self._tasks[task]

    def get(self, task: str, key: str) -> Any:
        """Return what is saved of `task` under `key`, or None."""
        if task in forget_stage and key != "ignore:":
            return None if key.endswith(":") else _STAGE
        return self._load(task).get(key)

    def set(self, task: str, key: str, value: Any) -> None:
        """Save `value`; `deps:` is the last that doit saves of a task, and commits it."""
        if task in forget_stage and key != "ignore:":
            return
        self._load(task)[key] = value
        if key in ("deps:", "ignore:"):
            data = self._codec.encode(self._tasks[task])
            self._run("insert or replace into doit values (?, ?)", task, data)

    def in_(self, task: str) -> bool:
        """Tell whether anything is saved of `task`."""
        return task in forget_stage or bool(self._load(task))

    def remove(self, task: str) -> None:
        """Forget `task`."""
        self._tasks[task] = {}
        self._run("delete from doit where task = ?", task)
        if task in forget_stage:
            forget_stage[task]()

    def remove_all(self) -> None:
        """Forget every task."""
        self._tasks.clear()
        self._saved = {}
        self._run("delete from doit")
        for forget in forget_stage.values():
            forget()

    def dump(self) -> None:
        """Close the file; everything is committed already."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table if not exists doit (task text primary key, data text)")
    return connection


def checker(table: DigestTable) -> type[FileChangedChecker]:
    """Return a doit checker that compares files by digest, each hashed once per change."""

    class DigestChecker(FileChangedChecker):  # type: ignore[misc]
        """Compares by SHA-256; what a stage reads is judged by the stage itself."""

        def check_modified(self, file_path: str, file_stat: Any, state: Any) -> bool:
            return bool(state != _STAGE and table.file(file_path, file_stat) != state)

        def get_state(self, dep: str, current_state: Any) -> str | None:
            return None if current_state == _STAGE else table.file(dep)

    return DigestChecker
