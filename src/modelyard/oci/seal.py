"""Notes in a project's cache that only this user's own builds can have written.

`.modelyard` travels: CI restores it from an earlier run, a project is unpacked with it. What a cache says of a file can
then be as false as the file. So a note carries a code that needs a key, and the key stays in the user's home.

Source: RFC 2104 (HMAC).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from modelyard.files.atomic import replacing
from modelyard.files.json import find_json, write_json
from modelyard.oci.cache import canonical_json

_KEY_BYTES = 32


def write_sealed(path: Path, value: Any) -> None:
    """Write `value` (anything JSON holds) to `path`, all or nothing, with its seal."""
    with replacing(path) as draft:
        write_json(draft, {"seal": _code(path, value), "value": value})


def read_sealed(path: Path) -> Any:
    """Return what the note `path` says, or None if it is missing, damaged, moved, or not of this user's builds."""
    found = find_json(path, dict)
    if found is None or not isinstance(found.get("seal"), str):
        return None
    return found.get("value") if hmac.compare_digest(_code(path, found.get("value")), found["seal"]) else None


def _code(path: Path, value: Any) -> str:
    """Return the code of `value` in the note `path`: what is true of one thing must not be said of another."""
    return hmac.new(_key(), canonical_json([path.parent.name, path.name, value]), hashlib.sha256).hexdigest()


def key_file() -> Path | None:
    """Return where the user's key is, in the folder for what programs remember; None if there is no home."""
    with contextlib.suppress(RuntimeError):
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return Path(state, "modelyard", "seal.key")
    return None


@functools.cache
def _key() -> bytes:
    """Return the user's key, made the first time; where none can be kept, one that this process forgets."""
    path = key_file()
    with contextlib.suppress(OSError):
        if path is not None:
            return _kept(path) or _made(path) or secrets.token_bytes(_KEY_BYTES)
    return secrets.token_bytes(_KEY_BYTES)


def _kept(path: Path) -> bytes:
    """Return the key in `path` if it is there and nobody else can have written it."""
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            own = info.st_uid == os.geteuid() and not info.st_mode & 0o077
            key = file.read(_KEY_BYTES + 1)
    except FileNotFoundError:
        return b""
    return key if own and len(key) == _KEY_BYTES else b""


def _made(path: Path) -> bytes:
    """Write a new key; of two processes that do so at once, the second takes the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        if path.exists() and not _kept(path):
            path.unlink()  # one that others can read or write certifies nothing
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return _kept(path)
