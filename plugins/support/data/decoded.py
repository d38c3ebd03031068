"""Pictures that were decoded before, on disk by the digest of their files: a new picture in a folder of many decodes one."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

_COMMIT_EVERY = 512
_WAIT_S = 60.0


class Decoded:
    """What was made of pictures, in one file for each way to make it. Without room for it, or damaged, it is as if it were empty."""

    def __init__(self, folder: Path, way: str) -> None:
        """Keep in `folder` what is made of pictures in the way called `way`: their size, colours, and the decoder's version."""
        self._path = folder / "pictures" / f"{way}.sqlite"
        self._base: sqlite3.Connection | None = None
        self._fresh = 0

    def __enter__(self) -> Self:
        """Open the file; one that is damaged is begun anew."""
        with contextlib.suppress(OSError, sqlite3.Error):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._base = self._opened()
            except sqlite3.DatabaseError:
                self._path.unlink()
                self._base = self._opened()
        return self

    def _opened(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=_WAIT_S)
        base.execute("create table if not exists pictures (digest blob primary key, pixels blob, crc int)")
        return base

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was made, also where the block was left by an error."""
        if self._base is not None:
            with contextlib.suppress(sqlite3.Error):
                self._base.commit()
            self._base.close()

    def pixels(
        self, file: Path, make: Callable[[Path], NDArray[np.uint8]], shape: tuple[int, ...]
    ) -> NDArray[np.uint8]:
        """Return what was made of a file with the content of `file`, uint8, shape `shape`; else what `make` makes of it."""
        import numpy as np

        digest = sha256(file.read_bytes()).digest()
        known = self._known(digest)
        if known is not None and len(known) == np.prod(shape):
            return np.frombuffer(known, np.uint8).reshape(shape)
        made = make(file)
        self._keep(digest, made.tobytes())
        return made

    def _known(self, digest: bytes) -> bytes | None:
        if self._base is None:
            return None
        try:
            row = self._base.execute("select pixels, crc from pictures where digest = ?", (digest,)).fetchone()
        except sqlite3.Error:
            return None
        return bytes(row[0]) if row and zlib.crc32(row[0]) == row[1] else None

    def _keep(self, digest: bytes, pixels: bytes) -> None:
        if self._base is None:
            return
        try:
            self._base.execute("insert or replace into pictures values (?, ?, ?)", (digest, pixels, zlib.crc32(pixels)))
            self._fresh += 1
            if self._fresh % _COMMIT_EVERY == 0:
                self._base.commit()
        except sqlite3.Error:  # no room, or somebody else writes for long
            self._base.close()
            self._base = None
