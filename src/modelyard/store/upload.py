"""Give results to the remote store beside the build, in the order in which they were made."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from modelyard.errors import ModelyardError
from modelyard.files.digests import DigestTable
from modelyard.files.json import decode, read_bytes
from modelyard.store.folder import StoreFolder
from modelyard.store.remote import Remote
from modelyard.store.roots import PROJECTS, read_roots

_TELL_AFTER_S = 2.0


def _note(remote: Remote) -> str:
    return f"uploaded to {remote.place}"


def forget_uploads(table: DigestTable, remote: Remote) -> None:
    """Forget what was uploaded, since something was removed there: the next build gives what its project needs again."""
    table.write_note(_note(remote), b"[]")


class Publisher:
    """Uploads results in a thread; `finish` waits for it.

    What was uploaded is written down, so that a result that a killed build or a remote that was down left
    behind is uploaded by the next build.
    """

    def __init__(self, store: StoreFolder, remote: Remote, table: DigestTable, tell: Callable[[str], None]) -> None:
        self._store, self._remote, self._table, self._tell = store, remote, table, tell
        self._note = _note(remote)
        self._uploaded = set(decode(table.note(self._note) or b"[]", list[str]))
        self._submitted: set[str] = set()
        self._todo: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, key: str, *, replace: bool = False) -> None:
        """Upload the result of `key`, which was just made; `replace` what stands there for it."""
        if replace:
            self._remote.distrust(key)
        self._uploaded.discard(key)
        self._submitted.discard(key)
        self._want(key)

    def _want(self, key: str) -> None:
        if key in self._uploaded or key in self._submitted:
            return
        self._submitted.add(key)
        self._todo.put(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def finish(self, file: Path) -> None:
        """Upload the results that a project needs and that are not there yet, and wait until all is done.

        Args:
            file: where the project wrote that down, in the store here; it is written down there, too.
        """
        roots = read_roots(file)
        if roots is None:
            return
        self._register(file)
        needed = set(roots.keys.values())
        for key in sorted(needed):
            self._want(key)
        if self._thread is None:
            return
        self._todo.put(None)
        self._thread.join(_TELL_AFTER_S)
        if self._thread.is_alive():
            self._tell(f"giving results to {self._remote.place}; Ctrl-C leaves the rest to the next build")
            self._thread.join()
        self._thread = None
        self._table.write_note(self._note, msgspec.json.encode(sorted(self._uploaded & needed)))

    def _register(self, file: Path) -> None:
        data, note = read_bytes(file), f"registered at {self._remote.place}"
        if self._table.note(note) != data and self._remote.save(f"{PROJECTS}/{file.name}", data):
            self._table.write_note(note, data)

    def _run(self) -> None:
        while (key := self._todo.get()) is not None:
            try:
                self._upload(key)
            except (OSError, ModelyardError) as exc:
                self._tell(f"warning: a result was not given to {self._remote.place}: {exc}")

    def _upload(self, key: str) -> None:
        with self._store.using():
            record = self._store.trace(key)
            if record is not None and self._store.has_all(record) and self._remote.push(record, self._store):
                self._uploaded.add(key)
