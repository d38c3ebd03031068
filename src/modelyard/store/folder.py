"""A folder that is a store: objects by digest, and traces from action keys to outputs.

    objects/ab/cdef...      the bytes of one file
    traces/ab/cdef....json  the record of the stage that an action key stands for
    projects/....json       what each project that uses the store still needs
    locks/, gc.lock         who makes what, and who cleans
    digests.sqlite          what is known of the objects; losing it costs time, never a wrong answer

    .unfinished/            what is being written

Everything is written there, synced and renamed to its place, so that a reader sees all of it or nothing.
"""

# ruff: noqa: PTH108 - objects of pathlib cost more than the calls that they wrap, and each stage pays for them
from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import StoreError
from modelyard.files.atomic import Batch
from modelyard.files.digests import DigestTable, signature
from modelyard.files.hashing import hash_file
from modelyard.files.json import read_bytes, write_bytes
from modelyard.files.locks import hold, share
from modelyard.files.manifest import FileEntry, Manifest
from modelyard.files.scratch import Scratch
from modelyard.store.record import Record, discovered_key, object_name, read_trace, trace_name

if TYPE_CHECKING:
    from modelyard.store.objects import Listed

UNFINISHED = ".unfinished"
"""The folder of a store in which files are written first."""


class StoreFolder:
    """A store in a folder of this machine; see `objects.ObjectStore`.

    Args:
        root: the folder; several projects may share it.
        table: what is known of the objects' digests.
        tell: called with a line for the person at the terminal.
        wait: whether to wait for another process that holds what is needed; otherwise that is an error.
    """

    is_exclusive = True
    """`cleaning` keeps every build out."""

    def __init__(
        self, root: Path, table: DigestTable, tell: Callable[[str], None] = lambda _: None, *, wait: bool = True
    ) -> None:
        self.root, self.table, self._tell, self._wait = root, table, tell, wait
        self._scratch = Scratch(root / UNFINISHED)

    @property
    def place(self) -> str:
        """The folder."""
        return str(self.root)

    @contextlib.contextmanager
    def _batch(self) -> Iterator[Batch]:
        with self._scratch.drafts() as folder:
            yield Batch(folder)

    def sweep(self) -> None:
        """Remove what builds that are no longer alive left half-written."""
        self._scratch.sweep()

    def close(self) -> None:
        """Remove the folder that this process wrote in."""
        self._scratch.close()

    # Who uses it

    def using(self) -> contextlib.AbstractContextManager[None]:
        """Keep `doit gc` out while the block runs; any number of builds may be inside."""
        return share(
            Path(f"{self.root}/gc.lock"), f"the store {self.root}", self._tell, "is being cleaned by", wait=self._wait
        )

    def cleaning(self) -> contextlib.AbstractContextManager[None]:
        """Keep every build out of the store while the block runs."""
        return hold(self.root / "gc.lock", f"the store {self.root}", self._tell, wait=self._wait, verb="is in use by")

    def building(self, key: str, what: str) -> contextlib.AbstractContextManager[None]:
        """Be the only one, of all projects that share the store, to make what `key` stands for.

        Raises:
            StoreError: another makes it, and this store does not wait.
        """
        return hold(Path(f"{self.root}/locks/{key}.lock"), what, self._tell, wait=self._wait, transient=True)

    # Its files

    def read(self, entry: FileEntry, folder: Path) -> Path | None:  # noqa: ARG002 - no copy is needed
        """Return the object's own file; None if it is not whole."""
        return self.object_file(entry.digest) if self.has(entry) else None

    def write(self, entry: FileEntry, file: Path) -> bool:
        """Keep the bytes of `file`, which moves here if `writing` gave its folder and is copied if not.

        Raises:
            StoreError: the store cannot be written.
        """
        from modelyard.files.placing import copy  # a build with nothing to do places nothing

        with store_errors(self.root), self._batch() as batch:
            draft = str(file) if file.is_relative_to(self._scratch.unfinished) else batch.draft()
            if draft != str(file) and copy(str(file), draft, 0o444)[0] != entry.digest:
                return False  # it is another by now
            os.chmod(draft, 0o444)  # noqa: PTH101
            batch.put(draft, self.object_file(entry.digest))
            batch.finish()
        self._add_digests([entry.digest])
        return True

    def list(self, folder: str) -> Iterator[Listed]:
        """Yield the files below `folder`; one that goes away meanwhile is left out."""
        from modelyard.store.objects import Listed

        for place, _, names in os.walk(f"{self.root}/{folder}"):
            for name in sorted(names):
                path = f"{place}/{name}"
                info = _stat(path)
                if info is not None:
                    yield Listed(path[len(str(self.root)) + 1 :], info.st_size, info.st_mtime)

    def load(self, name: str) -> bytes | None:
        """Return the bytes of a small file, none of one that cannot be read; None if it is not there."""
        try:
            return read_bytes(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        except OSError:
            return b""

    def digest(self, name: str, size_bytes: int) -> str | None:  # noqa: ARG002 - the kernel knows where a file ends
        """Return the SHA-256 of a file, read now; None if it is not there, or cannot be read."""
        with contextlib.suppress(OSError):
            return hash_file(f"{self.root}/{name}")
        return None

    def remove(self, files: Iterable[Listed], *, dry_run: bool = False) -> int:
        """Remove files, unless this is a dry run; return what that frees: a file that an artifact links to frees nothing."""
        freed = 0
        with store_errors(self.root):
            for one in files:
                file = self.root / one.name
                info = _stat(str(file))
                freed += info.st_size if info is not None and info.st_nlink == 1 else 0
                if not dry_run:
                    file.unlink(missing_ok=True)
                    with contextlib.suppress(OSError):
                        file.parent.rmdir()
        return freed

    def writing(self) -> contextlib.AbstractContextManager[Path]:
        """Give a folder for files on their way in, on the store's file system; it is gone at the end of the block."""
        return self._scratch.folder()

    # Objects

    def object_file(self, digest: str) -> Path:
        """Return where the object with `digest` is."""
        return Path(self._object(digest))

    def _object(self, digest: str) -> str:
        return f"{self.root}/{object_name(digest)}"

    def trace_file(self, key: str) -> Path:
        """Return where the trace of `key` is."""
        return Path(self._trace(key))

    def _trace(self, key: str) -> str:
        return f"{self.root}/{trace_name(key)}"

    def is_known_link(self, info: os.stat_result, digest: str) -> bool:
        """Tell whether a file with the stat `info` is a hard link to the object with `digest`, known to be whole."""
        path = self._object(digest)
        mine = _stat(path)
        if mine is None:
            return False
        return signature(mine) == signature(info) and mine.st_dev == info.st_dev and self._recall(path, mine) == digest

    @contextlib.contextmanager
    def preserving_digests(self, *outputs: Manifest) -> Iterator[None]:
        """Go on knowing the large objects of `outputs` while the block adds or removes hard links to them.

        A link changes an inode's ctime, which otherwise makes the table read the file again.
        """
        from modelyard.files.placing import SHARE_FROM_BYTES

        large = {e.digest for manifest in outputs for e in manifest.values() if e.size >= SHARE_FROM_BYTES}
        before = {digest: info for digest in large if (info := self._known_stat(self._object(digest), digest))}
        try:
            yield
        finally:
            now = {digest: _stat(self._object(digest)) for digest in before}
            with contextlib.suppress(StoreError):
                self.table.add_at(
                    (self._object(digest), info, digest)
                    for digest, info in now.items()
                    if info and _was_linked(before[digest], info)
                )

    def _known_stat(self, path: str, digest: str) -> os.stat_result | None:
        info = _stat(path)
        return info if info and self._recall(path, info) == digest else None

    def _recall(self, path: str, info: os.stat_result) -> str | None:
        try:
            return self.table.recall(path, info)
        except StoreError:  # a store that is not ours to write
            return None

    def _forget(self, path: str) -> None:
        with contextlib.suppress(StoreError):
            self.table.forget([path])

    def _add_digests(self, digests: Iterable[str]) -> None:
        with contextlib.suppress(StoreError, FileNotFoundError):
            self.table.add((self._object(digest), digest) for digest in digests)

    def has(self, entry: FileEntry) -> bool:
        """Tell whether the object of `entry` is here, whole; what stands in its place and is damaged goes."""
        path = self._object(entry.digest)
        info = _stat(path)
        if info is None:
            return False
        if S_ISREG(info.st_mode) and info.st_size == entry.size and self._has_digest(path, info, entry.digest):
            return True
        _drop(path)  # damaged: it must not stand in the way of a whole one
        return False

    def _has_digest(self, path: str, info: os.stat_result, digest: str) -> bool:
        try:
            return self.table.is_known(path, info, digest)
        except StoreError:
            return hash_file(path) == digest

    def has_all(self, record: Record) -> bool:
        """Tell whether every output of `record` is in the store, whole."""
        return all(self.has(entry) for entry in record.outputs.values())

    # Traces

    def trace(self, key: str) -> Record | None:
        """Return the record of `key`, or None if there is none or it is damaged."""
        try:
            return read_trace(read_bytes(self._trace(key)), key)
        except (OSError, ValueError):
            return None

    def forget(self, key: str) -> None:
        """Forget what `key` stands for; the objects stay."""
        self.trace_file(key).unlink(missing_ok=True)

    def put_trace(self, record: Record) -> bool:
        """Let `record`, whose outputs are here, stand for its key; it is there at the end.

        Raises:
            StoreError: the store cannot be written.
        """
        with store_errors(self.root), self._batch() as batch:
            self._put_traces(batch, record)
            batch.finish()
        return True

    def _put_traces(self, batch: Batch, record: Record) -> None:
        """Put the record in the place of its key; if it was seen to read something, it can be found by that later, too."""
        self._put_trace(batch, record)
        if record.discovered:
            key = discovered_key(record.key, record.discovered)
            self._put_trace(batch, msgspec.structs.replace(record, key=key))

    def _put_trace(self, batch: Batch, record: Record) -> None:
        draft = batch.draft()
        write_bytes(draft, record.text)
        batch.put(draft, self.trace_file(record.key))


def _was_linked(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether the ctime is all that changed of what counts for a file's digest."""
    one, other = signature(before), signature(after)
    return one[:3] == other[:3] and one != other


def _drop(path: str) -> None:
    """Remove what is in an object's place, as far as that can be done."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if S_ISDIR(os.lstat(path).st_mode) else os.unlink(path)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


@contextlib.contextmanager
def store_errors(place: Path) -> Iterator[None]:
    """Turn what the system says while the store is read or written into a `StoreError`."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            msg = f"{exc.filename or place}: went away while it was read\n  run `doit` again: it is made anew"
        else:
            advice = "make room on the disk" if exc.errno in (errno.ENOSPC, errno.EDQUOT) else "check its permissions"
            msg = f"{exc.filename or place}: {exc.strerror}\n  {advice}, then run `doit` again: what was built is kept"
        raise StoreError(msg) from exc
