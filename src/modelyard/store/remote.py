"""A store that several machines share, on whatever fsspec reaches: S3, Google Cloud Storage, a folder ...

It has the layout of a local store (`objects/`, `traces/`). Objects are named for their content and a trace
follows its objects, so any number may write at once: whoever reads a trace finds all that it names, or
nothing. What comes in is checked by size and SHA-256. A remote that does not work is told once and left alone.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.concurrency.deadlines import within
from modelyard.concurrency.parallel import in_parallel
from modelyard.errors import ConfigError
from modelyard.files.digests import FileEntry
from modelyard.files.hashing import hash_file
from modelyard.store.record import Record, object_name, read_trace, trace_name
from modelyard.toml.places import KeyPlace, Place

T = TypeVar("T")

NEEDS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""For each protocol, the package that speaks it beside fsspec."""
_EXTRAS = {"s3fs": "remote", "gcsfs": "gcs"}
"""For each such package, the extra of modelyard's that brings it and fsspec."""
_ATOMIC = frozenset({*NEEDS, "memory"})
"""Protocols whose uploads appear whole or not at all; elsewhere a file is written beside its place and renamed."""
_ATTEMPTS = 3
"""How often a request to S3 is made while its server says that it is too busy or failed (5xx); gcsfs tries again by itself."""
_LARGEST_TRACE_BYTES = 64 << 20
"""The record of a stage with half a million outputs."""
_BYTES_PER_S = 1_000_000
"""A transfer slower than this counts as one that does not work."""


class RemoteSettings(msgspec.Struct, frozen=True):
    """Where the remote is and how it is used; see `[tool.modelyard.store]`."""

    url: str
    writes: bool = True
    timeout_s: float = 20.0
    options: dict[str, Any] = {}


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


def open_remote(settings: Mapping[str, Any], tell: Callable[[str], None], where: Place) -> Remote | None:
    """Return the remote that `[tool.modelyard.store]` names, not yet connected; None if there is none.

    Raises:
        ConfigError: its address or the installation does not do.
    """
    url, mode = settings["remote"], settings["mode"]
    if not url or mode == "off":
        return None
    check_remote(url, where)
    return Remote(RemoteSettings(url, mode == "read-write", settings["timeout_s"], settings["options"]), tell)


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
            data = self._try(lambda fs, root: _absent_is_none(lambda: read_small(fs, f"{root}/{name}", copy)))
        if data is None:
            return None
        try:
            return read_trace(data, key)
        except ValueError as exc:
            self.distrust(key)
            self._tell(f"{self.settings.url}: the trace {trace_name(key)} is damaged and was not taken: {exc}")
            return None

    def has(self, entries: Iterable[FileEntry]) -> bool:
        """Tell whether the remote has an object of the right size for each of `entries`; none is read."""

        def is_there(entry: FileEntry) -> bool:
            name = object_name(entry.digest)
            return bool(self._try(lambda fs, root: _size(fs, f"{root}/{name}") == entry.size))

        return all(in_parallel(is_there, entries))

    def pull(self, entry: FileEntry, target: Path) -> bool:
        """Write the object of `entry` to the new file `target`; False if it cannot be had whole."""
        from modelyard.store.bounded_copy import bounded

        name = object_name(entry.digest)
        with bounded(entry.size) as copy:
            whole = self._try(
                lambda fs, root: _absent_is_none(lambda: copy.fetch(fs, f"{root}/{name}", target)), entry.size
            )
        if whole is None:
            return False
        found = target.stat().st_size if whole else None
        if found == entry.size and hash_file(target) == entry.digest:
            return True
        self.distrust(entry.digest)
        had = "more bytes" if found is None else f"{found} bytes"
        wrong = f"{had} instead of {entry.size}" if found != entry.size else "other bytes than its name says"
        self._tell(f"{self.settings.url}: the object {name} is damaged ({wrong}) and was not taken")
        return False

    def distrust(self, name: str) -> None:
        """Let the next push replace the trace or object `name`, which is damaged or names what is not there."""
        self._untrusted.add(name)

    # Writing

    def push(self, record: Record, store: Path) -> bool:
        """Upload a result from the store in the folder `store`: its objects, each once, and then its trace.

        Returns:
            False if it is not there in the end.
        """
        trace = trace_name(record.key)
        replace = record.key in self._untrusted
        if not replace and self._try(lambda fs, root: fs.exists(f"{root}/{trace}")):
            return True
        entries = {entry.digest: entry for entry in record.outputs.values()}
        sent = in_parallel(lambda entry: self._push_object(entry, store), entries.values())
        if not all(sent):
            return False
        data = (store / trace).read_bytes()
        return bool(self._try(lambda fs, root: _put_trace(fs, f"{root}/{trace}", data, replace=replace)))

    def _push_object(self, entry: FileEntry, store: Path) -> bool:
        name = object_name(entry.digest)
        replace = entry.digest in self._untrusted

        def work(fs: Any, root: str) -> bool:
            path = f"{root}/{name}"
            if replace or _size(fs, path) != entry.size:
                _put(fs, path, lambda target: fs.put_file(str(store / name), target))
            return True

        return bool(self._try(work, entry.size))

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

    def _open(self) -> tuple[Any, str]:
        with self._opening:
            if self._opened is None or self._process != os.getpid():  # a connection does not survive a fork
                self._opened, self._process = _connect(self.settings), os.getpid()
            return self._opened

    def _give_up(self, exc: Exception, limit_s: float) -> None:
        with self._ending:
            was_up, self.is_up = self.is_up, False
        if was_up:
            slow = f"no answer within {limit_s:.0f} s (store.timeout_s is {self.settings.timeout_s:g})"
            reason = slow if isinstance(exc, TimeoutError) and not str(exc) else _reason(exc)
            self._tell(
                f"warning: {self.settings.url} does not work: {reason}\n  this build goes on without it, with the local store"
            )


def _connect(settings: RemoteSettings) -> tuple[Any, str]:
    # gcsfs otherwise asks a second, gRPC service for the kind of each bucket, which takes a minute where only JSON is served
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    import fsspec

    _keep_quiet(settings.url.partition("://")[0])
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True, **settings.options}
    if settings.url.startswith(("s3://", "s3a://")):
        network = {
            "connect_timeout": settings.timeout_s,
            "read_timeout": settings.timeout_s,
            "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
        }
        options["config_kwargs"] = {**network, **options.get("config_kwargs", {})}
    fs, root = fsspec.core.url_to_fs(settings.url, **options)
    return fs, str(root).rstrip("/")


def _keep_quiet(protocol: str) -> None:
    """Let what the protocol's package logs of its failures go nowhere: they are told once, in words."""
    for name in ("fsspec", NEEDS.get(protocol, protocol)):
        logging.getLogger(name).addHandler(logging.NullHandler())


def _absent_is_none(work: Callable[[], T]) -> T | None:
    """Return what `work` returns, or None if the file is not there; a bucket that is not there is another matter."""
    try:
        return work()
    except FileNotFoundError as exc:
        answer = getattr(exc.__cause__, "response", None) or {}
        if answer.get("Error", {}).get("Code") == "NoSuchBucket":
            raise
        return None


def _size(fs: Any, path: str) -> int | None:
    """Return the size of `path` in bytes, or None if it is not there."""
    info = _absent_is_none(lambda: fs.info(path))
    return info["size"] if info else None


def _put(fs: Any, path: str, write: Callable[[str], object]) -> None:
    """Let `write` write the file `path` so that no reader sees a part of it."""
    if _protocols(fs) & _ATOMIC:
        write(path)
        return
    beside = f"{path}.{os.urandom(8).hex()}.part"
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        write(beside)
        fs.mv(beside, path)
    except BaseException:
        _absent_is_none(lambda: fs.rm_file(beside))
        raise


def _put_trace(fs: Any, path: str, data: bytes, *, replace: bool) -> bool:
    """Write a trace; unless `replace` is set, one that another build has put there meanwhile stays."""
    if not replace and _protocols(fs) & NEEDS.keys():
        try:
            fs.pipe_file(path, data, mode="create")
        except Exception:  # of many kinds: it is there, or the server does not know this condition
            replace = not fs.exists(path)
    elif replace or not fs.exists(path):
        _put(fs, path, lambda target: fs.pipe_file(target, data))
        return True
    if replace:
        fs.pipe_file(path, data)
    return True


def _protocols(fs: Any) -> frozenset[str]:
    return frozenset([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split()) or "no reason given"
    return f"{type(exc).__name__}: {text[:300]}"
