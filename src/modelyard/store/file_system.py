"""What a remote store asks of fsspec: a connection, and files that appear whole or not at all.

fsspec itself is imported where a connection is made.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

NEEDS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""For each protocol, the package that speaks it beside fsspec."""
_ATOMIC = frozenset({*NEEDS, "memory"})
"""Protocols whose uploads appear whole or not at all; elsewhere a file is written beside its place and renamed."""
_ATTEMPTS = 3
"""How often a request to S3 is made while its server says that it is too busy or failed (5xx); gcsfs tries again by itself."""


class RemoteSettings(msgspec.Struct, frozen=True):
    """Where the remote is and how it is used; see `[tool.modelyard.store]`."""

    url: str
    writes: bool = True
    timeout_s: float = 20.0
    options: dict[str, Any] = {}


def connect(settings: RemoteSettings) -> tuple[Any, str]:
    """Return the file system of the remote, and the path on it below which everything is."""
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


def absent_is_none(work: Callable[[], T]) -> T | None:
    """Return what `work` returns, or None if the file is not there; a bucket that is not there is another matter."""
    try:
        return work()
    except FileNotFoundError as exc:
        answer = getattr(exc.__cause__, "response", None) or {}
        if answer.get("Error", {}).get("Code") == "NoSuchBucket":
            raise
        return None


def size_of(fs: Any, path: str) -> int | None:
    """Return the size of `path` in bytes, or None if it is not there."""
    info = absent_is_none(lambda: fs.info(path))
    return info["size"] if info else None


def written_at(info: Mapping[str, Any]) -> float:
    """Return when a file was written, in seconds since 1970; now, if the file system does not say: then it counts as new."""
    for name in ("mtime", "LastModified", "updated", "last_modified", "created"):
        when = info.get(name)
        if isinstance(when, str):
            when = datetime.fromisoformat(when)
        if isinstance(when, datetime):
            return when.timestamp()
        if when is not None:
            return float(when)
    return time.time()


def put(fs: Any, path: str, write: Callable[[str], object]) -> None:
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
        absent_is_none(lambda: fs.rm_file(beside))
        raise


def put_new(fs: Any, path: str, data: bytes, *, replace: bool) -> bool:
    """Write a small file; unless `replace` is set, one that another build has put there meanwhile stays."""
    if not replace and _protocols(fs) & NEEDS.keys():
        try:
            fs.pipe_file(path, data, mode="create")
        except Exception:  # of many kinds: it is there, or the server does not know this condition
            replace = not fs.exists(path)
    elif replace or not fs.exists(path):
        put(fs, path, lambda target: fs.pipe_file(target, data))
        return True
    if replace:
        fs.pipe_file(path, data)
    return True


def _protocols(fs: Any) -> frozenset[str]:
    return frozenset([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol)
