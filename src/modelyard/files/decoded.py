"""What was made of samples before, on disk by the digest of their raw form: a new picture among a million decodes one.

It is a cache, and as if it were empty where it is damaged, in use for long, or without room. There is one SQLite file for each way
to make something of a sample. What the run before this one did not use leaves it when it takes more than what this one used.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.files.state_file import is_useless, remove_database

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

FOLDER = "decoded"
"""Below the folder for downloads."""
UNUSED_S = 30 * 86400.0
"""For how long a way may be unused before another one removes it."""
_BUFFER_BYTES = 4 << 20
_ROOM_BYTES = 1 << 30
"""What may be kept beside what the last run used, however little that was."""
_WAIT_S = 10.0
_PAGE_BYTES = 16384
_SCHEMA = """
create table if not exists samples (id integer primary key, digest blob unique, value blob, crc int);
create table if not exists uses (id integer primary key, run int, size int);
"""
_TOO_MUCH = """
select id from (select id, sum(size) over (order by run desc, id desc) as total from uses where run < :run)
where total > :room
"""
_ALL = "select digest, value, crc from samples"
_BYTES_OF = "select coalesce(sum(size), 0) from uses where run"


class Decoded:
    """What was made of samples in one way.

    Attributes:
        found: how many samples were found.
        made: how many were kept that were not there.
    """

    def __init__(self, cache: Path, way: str) -> None:
        """Keep below the folder `cache` what is made of samples in the way called `way`.

        Args:
            cache: the folder for downloads.
            way: what stands for all that decides, beside a sample, what is made of it: the code, its parameters, the tools.
        """
        self._path = cache / FOLDER / f"{way}.sqlite"
        self._base: sqlite3.Connection | None = None
        self._fresh: dict[bytes, bytes] = {}
        self._fresh_bytes = 0
        self._used = array("q")
        self.found = self.made = 0

    def __enter__(self) -> Self:
        """Open the file; one that is damaged is begun anew."""
        with self._on_trouble():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._base = _opened(self._path)
            except sqlite3.DatabaseError as exc:
                if not is_useless(exc):
                    raise
                remove_database(self._path)
                self._base = _opened(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep what was made, also where the block was left by an error."""
        self._write()
        with self._on_trouble():
            if self._base is not None and (self.found or self.made):
                _end(self._base, self._used)
        if self._base is not None:
            self._base.close()
            self._base = None
            _remove_unused(self._path.parent)

    def once(self, raw: bytes, make: Callable[[bytes], bytes]) -> bytes:
        """Return what was made of a sample whose raw form is `raw`; else what `make` makes of it, which is kept."""
        digest = hashlib.sha256(raw).digest()
        known = self.known([digest])
        if digest not in known:
            known = {digest: make(raw)}
            self.keep(known)
        return known[digest]

    def known(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return what was made of samples, by their digests; what is damaged is not known."""
        found = {digest: self._fresh[digest] for digest in digests if digest in self._fresh}
        for row, digest, value, crc in self._rows(digests):
            if _sum(digest, value) == crc:
                self._used.append(row)
                found[digest] = value
        self.found += len(found)
        return found

    def _rows(self, digests: Sequence[bytes]) -> list[tuple[int, bytes, bytes, int]]:
        with self._on_trouble():
            if self._base is not None:
                marks = ",".join("?" * len(digests))
                query = f"select id, digest, value, crc from samples where digest in ({marks})"
                return self._base.execute(query, digests).fetchall()
        return []

    def keep(self, values: Mapping[bytes, bytes]) -> None:
        """Keep what was made of samples, by their digests."""
        self.made += len(values)
        if self._base is None:
            return
        self._fresh |= values
        self._fresh_bytes += sum(map(len, values.values()))
        if self._fresh_bytes >= _BUFFER_BYTES:
            self._write()

    def _write(self) -> None:
        """Write what is new, in one short transaction: somebody else may wait."""
        with self._on_trouble():
            if self._base is not None and self._fresh:
                self._base.execute("begin immediate")
                _insert(self._base, self._fresh)
                self._base.execute("commit")
        self._fresh, self._fresh_bytes = {}, 0

    @contextlib.contextmanager
    def _on_trouble(self) -> Iterator[None]:
        """Go on without the file where it cannot be used; one that is damaged is removed."""
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            if self._base is not None:
                self._base.close()
                self._base = None
            if isinstance(exc, sqlite3.DatabaseError) and is_useless(exc):
                with contextlib.suppress(OSError):
                    remove_database(self._path)


def _opened(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
    try:
        base.execute(f"pragma page_size = {_PAGE_BYTES}")
        base.execute("pragma synchronous = off")  # what a power cut damages is decoded again
        base.executescript(_SCHEMA)
    except BaseException:
        base.close()
        raise
    return base


def _run(base: sqlite3.Connection) -> int:
    """Return the number of this run, which the file has when it ends."""
    return int(base.execute("pragma user_version").fetchone()[0]) + 1


def _insert(base: sqlite3.Connection, values: Mapping[bytes, bytes]) -> None:
    run, first = _run(base), base.execute("select coalesce(max(id), 0) + 1 from samples").fetchone()[0]
    rows = ((row, digest, value, _sum(digest, value)) for row, (digest, value) in enumerate(values.items(), first))
    base.executemany("insert or replace into samples values (?, ?, ?, ?)", rows)
    uses = ((row, run, len(value)) for row, value in enumerate(values.values(), first))
    base.executemany("insert or replace into uses values (?, ?, ?)", uses)


def _end(base: sqlite3.Connection, used: Sequence[int]) -> None:
    """Note what this run used, and drop what is too much beside it."""
    base.execute("begin immediate")
    run = _run(base)
    base.executemany("update uses set run = ? where id = ?", ((run, row) for row in used))
    _trim(base, run)
    base.execute(f"pragma user_version = {run}")
    base.execute("commit")


def _trim(base: sqlite3.Connection, run: int) -> None:
    """Drop what was used longest ago, until the rest takes no more than what this run used, or than there is room for."""
    live, other = (base.execute(f"{_BYTES_OF} {which} ?", (run,)).fetchone()[0] for which in ("=", "<"))
    room = max(live, _ROOM_BYTES)
    if other > room:
        rows = base.execute(_TOO_MUCH, {"run": run, "room": room}).fetchall()
        for table in ("samples", "uses"):
            base.executemany(f"delete from {table} where id = ?", rows)


def _sum(digest: bytes, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(digest))


def _remove_unused(folder: Path) -> None:
    for path in files_in(folder):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - UNUSED_S:
                remove_database(path)


def files_in(folder: Path) -> list[Path]:
    """Return the files in `folder`, one for each way, sorted."""
    return sorted(folder.glob("*.sqlite"))


def damage_of(path: Path) -> str:
    """Read all of a file, and return what is wrong with it; empty: nothing."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as base:
            told = base.execute("pragma quick_check(1)").fetchone()[0]
            wrong = sum(_sum(digest, value) != crc for digest, value, crc in base.execute(_ALL)) if told == "ok" else 0
    except sqlite3.DatabaseError as exc:
        return f"cannot be read: {exc}" if is_useless(exc) else ""
    if told != "ok":
        return f"is damaged: {' '.join(told.split())}"
    return f"has other bytes for {wrong:,} samples" if wrong else ""
