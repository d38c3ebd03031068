"""What each place that keeps results can do, whether a folder here or a remote, and how a result gets from one to another.

A store has files: an object for each content, and a trace for each action key, by the names of `record`. A trace follows
its objects, so that whoever finds one finds all that it names, or takes it as a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from modelyard.concurrency.parallel import in_parallel
from modelyard.files.manifest import FileEntry
from modelyard.store.record import Record

JOBS = "jobs"
"""The folder of a remote store for what became of stages that ran elsewhere; whoever asked takes it away."""
UNLISTED_S = 86400.0
"""Where nobody can be kept out, what is younger may belong to a result that is being written."""


class Listed(msgspec.Struct, frozen=True):
    """A file of a store: its name below the root, its size in bytes, and when it was used or written last (since 1970, in s)."""

    name: str
    size: int
    used: float


class Readable(Protocol):
    """A place that has objects."""

    def read(self, entry: FileEntry, folder: Path) -> Path | None:
        """Return a file with the bytes of an object, its own or a new one in `folder`; None if it cannot be had whole."""


class ObjectStore(Readable, Protocol):
    """A place that keeps results."""

    @property
    def place(self) -> str:
        """Where it is, as a person writes it."""

    @property
    def is_exclusive(self) -> bool:
        """Whether a clean-up can keep all others out; else what is young must stay, as it may be being written."""

    def has(self, entry: FileEntry) -> bool:
        """Tell whether it has the object of `entry`: whole, as far as can be told without a transfer."""

    def write(self, entry: FileEntry, file: Path) -> bool:
        """Keep the bytes of `file` as the object of `entry`; tell whether it is there."""

    def put_trace(self, record: Record) -> bool:
        """Let `record`, whose objects are there, stand for its key; tell whether it is there."""

    def list(self, folder: str) -> Iterator[Listed]:
        """Yield the files below `folder`, one of `objects`, `traces`, `projects` and `jobs`.

        Raises:
            StoreError: they cannot be listed.
        """

    def load(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None if it is not there.

        Raises:
            StoreError: it cannot be read.
        """

    def digest(self, name: str, size_bytes: int) -> str | None:
        """Return the SHA-256 of a file of about this size, read now; None if it is not there.

        Raises:
            StoreError: it cannot be read.
        """

    def remove(self, files: Iterable[Listed], *, dry_run: bool = False) -> int:
        """Remove files, unless this is a dry run; return how many bytes that frees.

        Raises:
            StoreError: one cannot be removed.
        """

    def writing(self) -> AbstractContextManager[Path]:
        """Give a folder for files on their way in."""

    def using(self) -> AbstractContextManager[None]:
        """Keep who cleans out while the block runs, where that can be done."""

    def cleaning(self) -> AbstractContextManager[None]:
        """Keep who takes and gives out while the block runs, where that can be done."""


def transfer(record: Record, source: ObjectStore, target: ObjectStore) -> bool:
    """Bring a result from one store to another: the objects that are not there, each once, and then its trace.

    Returns:
        Whether it is there in the end.
    """
    return transfer_objects(record.outputs.values(), source, target) and target.put_trace(record)


def transfer_objects(entries: Iterable[FileEntry], source: Readable, target: ObjectStore) -> bool:
    """Bring the objects of `entries` that are not there, each once; tell whether all are there in the end."""
    wanted = {one.digest: one for one in entries}.values()
    with target.writing() as folder:

        def bring(entry: FileEntry) -> bool:
            if target.has(entry):
                return True
            file = source.read(entry, folder)
            return file is not None and target.write(entry, file)

        return all(in_parallel(bring, wanted))
