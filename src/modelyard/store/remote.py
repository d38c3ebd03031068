"""A store that several machines share, on whatever fsspec reaches: S3, Google Cloud Storage, a folder ...

It has the layout of a local store (`objects/`, `traces/`). Objects are named for their content and a trace
follows its objects, so any number may write at once: whoever reads a trace finds all that it names, or
nothing. What comes in is checked by size and SHA-256. A remote that does not work is told once and left alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from modelyard.concurrency.deadlines import within
from modelyard.errors import ConfigError, StoreError
from modelyard.files.hashing import hash_file
from modelyard.files.manifest import FileEntry
from modelyard.store.file_system import (
    NEEDS,
    RemoteSettings,
    absent_is_none,
    connect,
    put,
    put_new,
    size_of,
    written_at,
)
from modelyard.store.objects import Listed, ObjectStore, transfer
from modelyard.store.record import Record, object_name, read_trace, trace_name
from modelyard.toml.places import KeyPlace, Place

T = TypeVar("T")

_EXTRAS = {"s3fs": "remote", "gcsfs": "gcs"}
"""For each such package, the extra of modelyard's that brings it and fsspec."""
_LARGEST_TRACE_BYTES = 64 << 20
"""The record of a stage with half a million outputs."""
_LISTING_BYTES = 100_000_000
"""What a listing counts as: one of half a million objects."""
_BYTES_PER_S = 1_000_000
"""A transfer slower than this counts as one that does not work."""


def check_remote(url: str, where: Place) -> None:
    """Check that `url` can be a remote, importing nothing.

    Raises:
        ConfigError: it is no URL, or a package that it needs is not installed.
    """
    protocol, separator, path = url.partition("://")
    if not (protocol and separator and (path or protocol == "memory")):
        msg = (
            f"{KeyPlace(where, 'remote')}: {url!r} is not the address of a remote store\n"
            "  allowed: 's3://bucket/prefix', 'gs://bucket/prefix', 'file:///folder', 'memory://name', or what fsspec knows"
        )
        raise ConfigError(msg)
    speaker = NEEDS.get(protocol)
    needs = ["fsspec", *([speaker] if speaker else [])]
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    if missing:
        extra = _EXTRAS.get(speaker or "s3fs")
        what = f"'modelyard[{extra}]'" if extra else " ".join(missing)
        msg = f"{KeyPlace(where, 'remote')}: {url!r} needs {' and '.join(missing)}, not installed\n  run `python -m pip install {what}`"
        raise ConfigError(msg)


def open_remote(settings: RemoteSettings, tell: Callable[[str], None], where: Place) -> Remote:
    """Return the remote that `[tool.modelyard.store]` names, not yet connected.

    Raises:
        ConfigError: its address or the installation does not do.
    """
    check_remote(settings.url, where)
    return Remote(settings, tell)


class Remote:
    """One remote store, as one build uses it."""

    def __init__(self, settings: RemoteSettings, tell: Callable[[str], None]) -> None:
        self.settings, self._tell = settings, tell
        self.is_up = True
        self._opening, self._ending = threading.Lock(), threading.Lock()
        self._opened: tuple[Any, str] | None = None
        self._process = 0
        self._untrusted: set[str] = set()

    # Reading

    def trace(self, key: str) -> Record | None:
        """Return the record of `key`, or None if there is none, it is damaged, or the remote does not work."""
        from modelyard.store.bounded_copy import bounded, read_small

        with bounded(_LARGEST_TRACE_BYTES) as copy:
            name = trace_name(key)
            data = self._try(lambda fs, root: absent_is_none(lambda: read_small(fs, f"{root}/{name}", copy)))
        if data is None:
            return None
        try:
            return read_trace(data, key)
        except ValueError as exc:
            self.distrust(key)
            self._tell(f"{self.settings.url}: the trace {trace_name(key)} is damaged and was not taken: {exc}")
            return None

    def has(self, entry: FileEntry) -> bool:
        """Tell whether the remote has an object of the right size for `entry`, and it was not found damaged; none is read."""
        name = object_name(entry.digest)
        return entry.digest not in self._untrusted and bool(
            self._try(lambda fs, root: size_of(fs, f"{root}/{name}") == entry.size)
        )

    def read(self, entry: FileEntry, folder: Path) -> Path | None:
        """Write the object of `entry` to a new file in `folder`, which is returned; None if it cannot be had whole."""
        from modelyard.store.bounded_copy import bounded

        name, target = object_name(entry.digest), folder / entry.digest
        with bounded(entry.size) as copy:
            whole = self._try(
                lambda fs, root: absent_is_none(lambda: copy.fetch(fs, f"{root}/{name}", target)), entry.size
            )
        if whole is None:
            return None
        found = target.stat().st_size if whole else None
        if found == entry.size and hash_file(target) == entry.digest:
            return target
        self.distrust(entry.digest)
        had = "more bytes" if found is None else f"{found} bytes"
        wrong = f"{had} instead of {entry.size}" if found != entry.size else "other bytes than its name says"
        self._tell(f"{self.place}: the object {name} is damaged ({wrong}) and was not taken")
        return None

    def distrust(self, name: str) -> None:
        """Let the next push replace the trace or object `name`, which is damaged or names what is not there."""
        self._untrusted.add(name)

    def list(self, folder: str) -> Iterator[Listed]:
        """Yield the files below `folder`.

        Raises:
            StoreError: the remote does not work.
        """
        found = self._must(
            lambda fs, root: (absent_is_none(lambda: fs.find(f"{root}/{folder}", detail=True)), root), _LISTING_BYTES
        )
        for path, info in sorted((found[0] or {}).items()):
            name = path.lstrip("/").removeprefix(found[1].lstrip("/")).lstrip("/")
            yield Listed(name, int(info["size"] or 0), written_at(info))

    def load(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None if it is not there, and none of them if it is too long.

        Raises:
            StoreError: the remote does not work.
        """
        from modelyard.store.bounded_copy import bounded, read_small

        with bounded(_LARGEST_TRACE_BYTES) as copy:
            return self._must(lambda fs, root: absent_is_none(lambda: read_small(fs, f"{root}/{name}", copy)))

    def digest(self, name: str, size_bytes: int) -> str | None:
        """Return the SHA-256 of a file, read now; None if it is not there, empty if it is longer than that.

        Raises:
            StoreError: the remote does not work.
        """
        from modelyard.store.bounded_copy import bounded

        with self.writing() as folder, bounded(size_bytes) as copy:
            target = folder / "file"
            whole = self._must(
                lambda fs, root: absent_is_none(lambda: copy.fetch(fs, f"{root}/{name}", target)), size_bytes
            )
            return hash_file(target) if whole else None if whole is None else ""

    # Writing

    def push(self, record: Record, source: ObjectStore) -> bool:
        """Give the remote a result unless it has one for the key already, which stays; tell whether it is there."""
        name = trace_name(record.key)
        if record.key not in self._untrusted and self._try(lambda fs, root: fs.exists(f"{root}/{name}")):
            return True
        return transfer(record, source, self)

    def write(self, entry: FileEntry, file: Path) -> bool:
        """Upload the object of `entry`; tell whether it is there."""
        name = object_name(entry.digest)

        def work(fs: Any, root: str) -> bool:
            put(fs, f"{root}/{name}", lambda target: fs.put_file(str(file), target))
            return True

        return bool(self._try(work, entry.size))

    def put_trace(self, record: Record) -> bool:
        """Let `record` stand for its key, unless another build has put one there meanwhile; tell whether one is there."""
        name, data, replace = trace_name(record.key), record.text, record.key in self._untrusted
        return bool(self._try(lambda fs, root: put_new(fs, f"{root}/{name}", data, replace=replace)))

    def save(self, name: str, data: bytes) -> bool:
        """Write a small file: what a project needs, for who cleans the remote; what became of a job. Tell whether it is there."""

        def work(fs: Any, root: str) -> bool:
            put(fs, f"{root}/{name}", lambda target: fs.pipe_file(target, data))
            return True

        return bool(self._try(work))

    def remove(self, files: Iterable[Listed], *, dry_run: bool = False) -> int:
        """Remove files, unless this is a dry run; return how many bytes that frees.

        Raises:
            StoreError: the remote does not work, or does not let us.
        """

        def remove_one(one: Listed) -> int:
            if not dry_run:
                self._must(lambda fs, root: absent_is_none(lambda: fs.rm_file(f"{root}/{one.name}")))
            return one.size

        return sum(remove_one(one) for one in files)  # in their order: traces go before what they name

    # As a store among others: see `objects.ObjectStore`

    is_exclusive = False
    """Nobody can be kept out."""

    @property
    def place(self) -> str:
        """The address."""
        return self.settings.url

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Give a folder for files on their way; it is gone at the end of the block."""
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            yield Path(folder)

    def using(self) -> contextlib.AbstractContextManager[None]:
        """Keep nobody out."""
        return contextlib.nullcontext()

    def cleaning(self) -> contextlib.AbstractContextManager[None]:
        """Keep nobody out."""
        return contextlib.nullcontext()

    # The connection

    def _try(self, work: Callable[[Any, str], T], size_bytes: int = 0) -> T | None:
        """Return what `work(file_system, root)` returns; None, and a line the first time, if the remote does not work."""
        if not self.is_up:
            return None
        limit_s = self.settings.timeout_s + size_bytes / _BYTES_PER_S
        try:
            return within(limit_s, lambda: work(*self._open()))
        except Exception as exc:  # every back end raises its own; none may lose the build
            self._give_up(exc, limit_s)
            return None

    def _must(self, work: Callable[[Any, str], T], size_bytes: int = 0) -> T:
        """Return what `work(file_system, root)` returns.

        Raises:
            StoreError: the remote does not work.
        """
        limit_s = self.settings.timeout_s + size_bytes / _BYTES_PER_S
        try:
            return within(limit_s, lambda: work(*self._open()))
        except Exception as exc:
            msg = f"{self.place} does not work: {self._why(exc, limit_s)}\n  check its address, the network and your credentials"
            raise StoreError(msg) from exc

    def _open(self) -> tuple[Any, str]:
        with self._opening:
            if self._opened is None or self._process != os.getpid():  # a connection does not survive a fork
                self._opened, self._process = connect(self.settings), os.getpid()
            return self._opened

    def _give_up(self, exc: Exception, limit_s: float) -> None:
        with self._ending:
            was_up, self.is_up = self.is_up, False
        if was_up:
            self._tell(
                f"warning: {self.place} does not work: {self._why(exc, limit_s)}\n  this build goes on without it, with the local store"
            )

    def _why(self, exc: Exception, limit_s: float) -> str:
        if isinstance(exc, TimeoutError) and not str(exc):
            return f"no answer within {limit_s:.0f} s (store.timeout_s is {self.settings.timeout_s:g})"
        return _reason(exc)


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split()) or "no reason given"
    return f"{type(exc).__name__}: {text[:300]}"
