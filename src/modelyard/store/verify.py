"""Read everything again and say what is damaged: artifacts, a store's objects and traces, the table of digests."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from modelyard.concurrency.parallel import in_parallel
from modelyard.errors import DataError
from modelyard.files.decoded import FOLDER, damage_of, files_in
from modelyard.files.digests import DigestTable, signature
from modelyard.files.hashing import hash_files
from modelyard.files.json import decode, find_json
from modelyard.files.manifest import FileEntry, is_executable
from modelyard.files.state_file import remove_database
from modelyard.kinds import Kind
from modelyard.store.folder import StoreFolder
from modelyard.store.gc import Stored, read_store
from modelyard.store.objects import Listed, ObjectStore
from modelyard.store.record import Brief, Record, object_name

T = TypeVar("T")

_BATCH = 500
"""Files that are hashed at once."""


class Damage(msgspec.Struct, frozen=True):
    """One thing that is not as it should be.

    Attributes:
        what: `artifact`, `object`, `trace`, `digest` or `decoded`.
        path: the file.
        problem: what is wrong, in words.
        advice: what to do.
        stage: the stage whose artifact it is, or that a trace stands for.
    """

    what: str
    path: str
    problem: str
    advice: str
    stage: str = ""


class Checked(msgspec.Struct):
    """How much was looked at: numbers of files, and bytes read."""

    artifacts: int = 0
    objects: int = 0
    traces: int = 0
    digests: int = 0
    read_bytes: int = 0
    decoded: int = 0


class StoreVerifier:
    """Verifies what one store holds, here or remote."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.checked = Checked()
        self._dropped: list[Listed] = []
        self._stored = Stored(traces={}, objects={}, junk=[])

    def damages(self) -> Iterator[Damage]:
        """Yield each damage, as it is found.

        Raises:
            StoreError: the store cannot be read.
        """
        self._stored = read_store(self._store)
        yield from self._of_objects(self._stored)
        yield from self._of_traces(self._stored)

    def repair(self) -> int:
        """Drop every damaged object and trace that was found, and return how many; the next build makes what it needs of them.

        Raises:
            StoreError: the store cannot be written.
        """
        with self._store.cleaning():
            return self._drop()

    def _drop(self) -> int:
        if not self._store.is_exclusive:  # a trace of what is gone must not keep others from giving the result
            self._dropped += self._naming({file.name for file in self._dropped})
        self._store.remove(self._dropped)
        return len(self._dropped)

    def _naming(self, objects: Collection[str]) -> list[Listed]:
        """Return the traces that name one of `objects`."""
        return [
            trace.file
            for trace in self._stored.traces.values()
            if any(object_name(entry.digest) in objects for entry in trace.record.outputs.values())
        ]

    def _of_objects(self, stored: Stored) -> Iterator[Damage]:
        self.checked.objects = len(stored.objects)
        for batch in _batches(stored.objects.items()):
            found = self._digests_of([file for _, file in batch])
            for (digest, file), read in zip(batch, found, strict=True):
                if read not in (None, digest):  # one that is gone by now was taken by another's clean-up
                    self._dropped.append(file)
                    what = f"{read[:12]} instead of {digest[:12]}" if read else "more than it is listed with"
                    yield Damage("object", self._path(file), f"has other bytes: {what}", _REPAIR)

    def _digests_of(self, files: list[Listed]) -> list[str | None]:
        self.checked.read_bytes += sum(file.size for file in files)
        return in_parallel(lambda file: self._store.digest(file.name, file.size), files)

    def _of_traces(self, stored: Stored) -> Iterator[Damage]:
        self.checked.traces = len(stored.traces)
        for file in stored.junk:
            if file.name.startswith("traces/") and file.name.endswith(".json") and "/." not in file.name:
                self._dropped.append(file)
                yield Damage("trace", self._path(file), "cannot be read as the record of its key", _REPAIR)
        for trace in stored.traces.values():
            lost = [name for name, entry in trace.record.outputs.items() if entry.digest not in stored.objects]
            if lost and self._store.load(trace.file.name) is not None:
                self._dropped.append(trace.file)
                problem = f"names {len(lost)} objects that are not there, the first for {lost[0]!r}"
                yield Damage("trace", self._path(trace.file), problem, _REPAIR, trace.record.stage)

    def _path(self, file: Listed) -> str:
        return f"{self._store.place}/{file.name}"


class Verifier(StoreVerifier):
    """Verifies one project and the store here that it uses; each inode is read once."""

    def __init__(
        self, artifacts: Path, cache: Path, store: StoreFolder, tables: Iterable[DigestTable], kinds: Mapping[str, Kind]
    ) -> None:
        super().__init__(store)
        self._decoded, self._damaged = cache / FOLDER, list[Path]()
        self._artifacts, self._kept, self._tables, self._kinds = artifacts, store, list(tables), kinds
        self._seen: dict[tuple[int, int], tuple[tuple[int, int, int, int], str]] = {}
        self._stale: list[tuple[DigestTable, str]] = []
        self._records: list[Path] = []

    def damages(self) -> Iterator[Damage]:
        """Yield each damage, as it is found."""
        yield from self._of_artifacts()
        yield from super().damages()
        for table in self._tables:
            yield from self._of_table(table)
        yield from self._of_decoded()

    def _drop(self) -> int:
        """Drop the digests, too, and records that were edited; a damaged artifact stays until the next build."""
        for record in self._records:
            record.unlink(missing_ok=True)
        for table in self._tables:
            table.forget([path for owner, path in self._stale if owner is table])
        for path in self._damaged:
            remove_database(path)
        return super()._drop() + len(self._records) + len(self._stale) + len(self._damaged)

    def _digests_of(self, files: list[Listed]) -> list[str | None]:
        return [digest or None for digest in self._digests([self._path(file) for file in files])]

    # Artifacts

    def _of_artifacts(self) -> Iterator[Damage]:
        for record in sorted(self._artifacts.glob("[!.]*/[!.]*/stage.json")):
            stage = f"{record.parent.parent.name}:{record.parent.name}"
            advice = f"run `doit {stage}`: it comes back from the store or is made anew"
            try:
                brief = decode(record.read_bytes(), Brief)
            except (OSError, ValueError) as exc:
                yield Damage("artifact", str(record), f"cannot be read: {exc}", advice, stage)
                continue
            kept = self._kept.trace(brief.key)
            if kept is not None and kept.outputs != brief.outputs and self._makes_the_same_bytes(kept):
                self._records.append(record)
                yield Damage("artifact", str(record), f"{_OTHER}{_machines(record, kept)}", _REPAIR, stage)
            files = {str(record.parent / name): entry for name, entry in brief.outputs.items()}
            self.checked.artifacts += len(files)
            for path, problem in self._problems(files):
                yield Damage("artifact", path, problem, advice, stage)
            for path in sorted(_files_below(record.parent) - files.keys() - {str(record)}):
                yield Damage("artifact", path, "does not belong to the artifact", advice, stage)

    def _makes_the_same_bytes(self, record: Record) -> bool:
        """Tell whether another run of the same key must agree: what measures, or runs without the promise, need not.

        Nor need what a plugin's kind of stage made that is not there any more: it may have measured.
        """
        kind = self._kinds.get(record.stage.partition(":")[0])
        return record.reproducible and kind is not None and not kind.measures

    # The tables

    def _of_table(self, table: DigestTable) -> Iterator[Damage]:
        current = ((path, digest) for path, before, digest in table.known_files() if _is_current(path, before))
        for batch in _batches(current):
            self.checked.digests += len(batch)
            for (path, digest), found in zip(batch, self._digests([path for path, _ in batch]), strict=True):
                if found not in ("", digest):
                    self._stale.append((table, path))
                    yield Damage("digest", path, f"the table says {digest[:12]}, its bytes say {found[:12]}", _REPAIR)

    # What was decoded before

    def _of_decoded(self) -> Iterator[Damage]:
        for path in files_in(self._decoded):
            self.checked.decoded += 1
            self.checked.read_bytes += path.stat().st_size
            if problem := damage_of(path):
                self._damaged.append(path)
                yield Damage("decoded", str(path), problem, _REPAIR)

    # Reading

    def _problems(self, files: dict[str, FileEntry]) -> Iterator[tuple[str, str]]:
        """Yield each file that is not as its entry says, and what is wrong with it."""
        for batch in _batches(files.items()):
            for (path, entry), digest in zip(batch, self._digests([path for path, _ in batch]), strict=True):
                problem = _problem(path, entry, digest)
                if problem:
                    yield path, problem

    def _digests(self, paths: list[str]) -> list[str]:
        """Return the digest of each file's bytes, read now or earlier in this run; empty for one that cannot be read."""
        infos = {path: info for path in paths if (info := _stat(path))}
        unread = {(i.st_dev, i.st_ino): (path, i) for path, i in infos.items() if self._known(i) is None}
        digests = _hash([(path, info.st_size) for path, info in unread.values()])
        for (inode, (_, info)), digest in zip(unread.items(), digests, strict=True):
            self._seen[inode] = signature(info), digest
            self.checked.read_bytes += info.st_size
        return [(self._known(infos[path]) or "") if path in infos else "" for path in paths]

    def _known(self, info: os.stat_result) -> str | None:
        known = self._seen.get((info.st_dev, info.st_ino))
        return known[1] if known and known[0] == signature(info) else None


_OTHER = (
    "says other outputs than the store's record of the same key: one of the two was edited, or was made anew elsewhere"
)


def _machines(file: Path, kept: Record) -> str:
    """Return which machines made an artifact and the store's result of the same key, if they compute differently."""
    here = find_json(file, Record)
    unlike = here is not None and here.made_on and kept.made_on and here.made_on != kept.made_on
    return f" (it was made on {here.made_on}, the store's on {kept.made_on})" if here and unlike else ""


_GONE = "is not there, or cannot be read"
_REPAIR = "run `doit verify --repair`: it is dropped, and the next build brings back what it needs"


def _problem(path: str, entry: FileEntry, digest: str) -> str:
    info = _stat(path)
    if not digest or info is None:
        return _GONE
    if info.st_size != entry.size:
        return f"has {info.st_size} bytes instead of {entry.size}"
    if digest != entry.digest:
        return f"has other bytes: {digest[:12]} instead of {entry.digest[:12]}"
    if is_executable(info) != entry.executable:
        return f"is {'not ' if entry.executable else ''}executable"
    return ""


def _files_below(folder: Path) -> set[str]:
    return {f"{place}/{name}" for place, _, names in os.walk(folder) for name in names}


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


def _is_current(path: str, before: tuple[int, int, int, int]) -> bool:
    info = _stat(path)
    return info is not None and signature(info) == before


def _hash(files: list[tuple[str, int]]) -> list[str]:
    try:
        return hash_files(files)
    except DataError:
        return [_hash_one(path) for path, _ in files]


def _hash_one(path: str) -> str:
    with contextlib.suppress(DataError):
        return hash_files([(path, 0)])[0]
    return ""


def _batches(items: Iterable[tuple[str, T]]) -> Iterator[list[tuple[str, T]]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _BATCH)):
        yield batch
