"""The store of a build: it keeps the outputs of stages and gives them back, from a remote that others share where need be."""

# ruff: noqa: PTH103, PTH120 - objects of pathlib cost more than the calls that they wrap, and each stage pays for them
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import StageFailed, StoreError
from modelyard.files.digests import DigestTable
from modelyard.files.manifest import FileEntry, Manifest, manifest_digest
from modelyard.files.walk import walk
from modelyard.store.folder import StoreFolder, store_errors
from modelyard.store.record import RECORD, Record

if TYPE_CHECKING:
    from modelyard.store.remote import Remote

Stats = Mapping[str, os.stat_result]
"""The stat of each file of an artifact, by its name there."""


class Store(StoreFolder):
    """A store in a folder, and a remote for what is not there.

    Args:
        root: the store's folder; several projects may share it.
        table: what is known of the objects' digests.
        remote: a store that others share too, for what is not here.
        tell: called with a line for the person at the terminal.
        wait: whether to wait for another process that holds what is needed; otherwise that is an error.
    """

    def __init__(
        self,
        root: Path,
        table: DigestTable,
        remote: Remote | None = None,
        tell: Callable[[str], None] = lambda _: None,
        *,
        wait: bool = True,
    ) -> None:
        super().__init__(root, table, tell, wait=wait)
        self.remote = remote

    def find(self, key: str) -> Record | None:
        """Return the record of `key` once all its outputs are here, fetched from the remote if need be."""
        local = self.trace(key)
        if local is not None and self.has_all(local):
            return local
        if self.remote is None or not self.remote.is_up:
            return None
        with self.using(), store_errors(self.root):
            return self._pull(key, local)

    def offer(self, key: str) -> Record | None:
        """Return the record of `key` if the remote has all of its outputs that are not here; nothing is fetched."""
        if self.remote is None or not self.remote.is_up:
            return None
        local = self.trace(key)
        if local is not None and self._can_be_had(local):
            return local
        theirs = self.remote.trace(key)
        return theirs if theirs is not None and self._can_be_had(theirs) else None

    def _can_be_had(self, record: Record) -> bool:
        """Tell whether each output of `record` is here or at the remote."""
        from modelyard.concurrency.parallel import in_parallel

        assert self.remote is not None
        missing = {e.digest: e for e in record.outputs.values() if not self.has(e)}
        return all(in_parallel(self.remote.has, missing.values()))

    def _pull(self, key: str, local: Record | None) -> Record | None:
        from modelyard.store.objects import transfer, transfer_objects

        assert self.remote is not None
        if local is not None and transfer_objects(local.outputs.values(), self.remote, self):
            return local
        theirs = self.remote.trace(key)
        if theirs is None:
            return None
        if not transfer(theirs, self.remote, self):
            self.remote.distrust(key)
            return None
        return theirs

    def add(self, record: Record, folder: Path) -> tuple[Record, Stats]:
        """Keep the files of `folder`, and then the record, with these as its outputs.

        Args:
            record: what is known of the files. If it says what they are, they must be so; else they are all below `folder`.
            folder: where they are; nobody may write to them any more.

        Returns:
            The record as it was kept, and the stat that each file had when it was hashed.

        Raises:
            StoreError: a file changed meanwhile, or is not what `record` says; or the store cannot be written, for
                instance because the disk is full.
            StageFailed: a file has the record's own name.
            DataError: something there is neither a file nor a folder.
        """
        from modelyard.files.placing import check_still, take_all  # a build with nothing to do places nothing

        with self.using(), store_errors(self.root), self._batch() as batch:
            sizes = {n: e.size for n, e in record.outputs.items()} if record.digest else _found(record.stage, folder)
            taken = take_all(folder, sizes, batch.draft)
            kept = _completed(record, {name: one.entry for name, one in taken.items()})
            new = {one.entry.digest: one.draft for one in taken.values() if not self.has(one.entry)}
            for digest, draft in new.items():  # each content once
                batch.put(draft, self.object_file(digest))
            self._put_traces(batch, kept)
            batch.finish(lambda: check_still(folder, taken))
            self._add_digests(new)
        return kept, {name: one.info for name, one in taken.items()}

    def restore(self, record: Record, folder: Path) -> Stats:
        """Write the outputs of `record` into the new folder `folder`; `preserving_digests` belongs around it.

        Returns:
            The stat of each file.

        Raises:
            StoreError: an object went away meanwhile or is not whole, or the folder cannot be written.
        """
        with self.using(), store_errors(folder):
            folder.mkdir(parents=True)
            for parent in {os.path.dirname(name) for name in record.outputs}:
                os.makedirs(f"{folder}/{parent}", exist_ok=True)
            stats = {name: self._give(entry, f"{folder}/{name}") for name, entry in record.outputs.items()}
            with contextlib.suppress(OSError):
                os.utime(self._trace(record.key))  # when it was used last, for `doit gc`
        return stats

    def _give(self, entry: FileEntry, target: str) -> os.stat_result:
        from modelyard.files.placing import give

        path = self._object(entry.digest)
        try:
            return give(path, target, entry)
        except StoreError:
            self._forget(path)  # so that it is read again, and dropped, before it is trusted again
            raise


def _found(stage: str, folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file below `folder`, by name.

    Raises:
        StageFailed: one has the record's own name.
    """
    sizes = {name: info.st_size for name, info in walk(folder)}
    if RECORD in sizes:
        msg = f"{stage}: one of its outputs is called {RECORD!r}, as modelyard's own record is\n  let the component give that file another name"
        raise StageFailed(msg)
    return sizes


def _completed(record: Record, outputs: Manifest) -> Record:
    """Return `record` with `outputs`.

    Raises:
        StoreError: it has others.
    """
    digest = manifest_digest(outputs)
    if record.digest not in ("", digest):
        msg = f"{record.stage}: its artifact changed while it was kept\n  run `doit {record.stage}`"
        raise StoreError(msg)
    return msgspec.structs.replace(record, digest=digest, outputs=outputs)
