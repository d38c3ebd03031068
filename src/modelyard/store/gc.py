"""What may leave a store, and its removal: traces by age and size, and the objects that no trace names any more.

What a project that uses the store needs stays, whatever the bounds say. See docs/explanation/store.md.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.store.local import Store, store_errors
from modelyard.store.record import Record, read_trace
from modelyard.store.roots import Roots, all_roots, artifact_keys, needed_keys

OTHER_HOST_DAYS = 30
"""How long a project of another machine, which cannot be looked at from here, counts as alive after a build."""


class Bounds(msgspec.Struct, frozen=True):
    """What the store is bounded by: `max_size_bytes` in all, and `older_than_s` since a result was used last."""

    max_size_bytes: int | None = None
    older_than_s: float | None = None


class Trace(msgspec.Struct, frozen=True):
    """A trace in the store: its file, size in bytes and last use (seconds since 1970), and what it names."""

    file: Path
    size: int
    used: float
    record: Record


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a store.

    Attributes:
        traces: by action key.
        objects: the size in bytes of each object, by digest.
        junk: damaged traces, and what killed builds left half-written.
    """

    traces: dict[str, Trace]
    objects: dict[str, int]
    junk: list[Path]

    @property
    def size_bytes(self) -> int:
        """The size of all traces and objects, in bytes."""
        return sum(t.size for t in self.traces.values()) + sum(self.objects.values())


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go: traces by key, objects by digest, and other files; and the store's size before and after, in bytes."""

    traces: list[str]
    objects: list[str]
    junk: list[Path]
    before_bytes: int
    after_bytes: int


def read_store(store: Store) -> Stored:
    """Return what is in the store."""
    traces, junk = {}, []
    for file in _files(store.root / "traces"):
        try:
            info = file.stat()
            record = read_trace(file.read_bytes(), file.parent.name + file.stem)
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            junk.append(file)
            continue
        traces[record.key] = Trace(file, info.st_size, info.st_mtime, record)
    objects = {}
    for file in _files(store.root / "objects"):
        digest = file.parent.name + file.name
        if store.object_file(digest) != file or len(digest) != 64:
            junk.append(file)
            continue
        with contextlib.suppress(FileNotFoundError):
            objects[digest] = file.stat().st_size
    return Stored(traces=traces, objects=objects, junk=junk)


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted(names))


def plan_sweep(stored: Stored, needed: set[str], bounds: Bounds, now: float | None = None) -> Sweep:
    """Return what must go so that the store keeps to `bounds`.

    Args:
        stored: what is there.
        needed: the action keys that stay whatever the bounds say.
        bounds: the bounds.
        now: seconds since 1970; today if left out.
    """
    oldest = -1.0 if bounds.older_than_s is None else (now or time.time()) - bounds.older_than_s
    free = sorted((t for key, t in stored.traces.items() if key not in needed), key=lambda t: t.used)
    going = [t for t in free if t.used <= oldest]
    gone = {t.record.key for t in going}
    uses = Counter(d for key, t in stored.traces.items() if key not in gone for d in _digests(t, stored))
    size = sum(stored.objects[d] for d in uses) + sum(t.size for key, t in stored.traces.items() if key not in gone)
    for trace in free[len(going) :]:
        if bounds.max_size_bytes is None or size <= bounds.max_size_bytes:
            break
        gone.add(trace.record.key)
        size -= trace.size
        for digest in _digests(trace, stored):
            uses[digest] -= 1
            size -= 0 if uses[digest] else stored.objects[digest]
    unused = sorted(d for d in stored.objects if not uses[d])
    return Sweep(
        traces=sorted(gone), objects=unused, junk=stored.junk, before_bytes=stored.size_bytes, after_bytes=size
    )


def _digests(trace: Trace, stored: Stored) -> set[str]:
    return {entry.digest for entry in trace.record.outputs.values()} & stored.objects.keys()


def files_of(store: Store, stored: Stored, what: Sweep) -> list[Path]:
    """Return the files that are to go, traces before their objects."""
    traces = [stored.traces[key].file for key in what.traces]
    return [*traces, *(store.object_file(digest) for digest in what.objects), *what.junk]


def sweep(store: Store, files: Iterable[Path]) -> int:
    """Remove `files` of the store and return how many bytes that freed on the disk.

    Raises:
        StoreError: something cannot be removed.
    """
    freed = 0
    with store_errors(store.root):
        for file in files:
            freed += bytes_alone(file)
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.parent.rmdir()
    return freed


def bytes_alone(file: Path) -> int:
    """Return what removing `file` frees, in bytes: nothing if it is a hard link to an artifact that stays."""
    try:
        info = file.stat()
    except FileNotFoundError:
        return 0
    return info.st_size if info.st_nlink == 1 else 0


# What stays


class Users(msgspec.Struct, frozen=True):
    """The projects that use a store: those that count, those that are gone, by the file that names each."""

    alive: dict[Path, Roots]
    gone: dict[Path, Roots]
    damaged: list[Path]


def users_of(store: Store, now: float | None = None) -> Users:
    """Return the projects that use the store."""
    users = Users({}, {}, [])
    for file, roots in all_roots(store.root):
        if roots is None:
            users.damaged.append(file)
        elif _is_gone(roots, now or time.time()):
            users.gone[file] = roots
        else:
            users.alive[file] = roots
    return users


def _is_gone(roots: Roots, now: float) -> bool:
    if roots.is_of_this_host:
        return not roots.is_here
    built = datetime.fromisoformat(roots.updated).timestamp()
    return now - built > OTHER_HOST_DAYS * 86400


def keys_in_use(users: Users, project: Path) -> set[str]:
    """Return the keys that any project needs, those that are gone included; `project` counts even before its first build."""
    return needed_keys([*users.alive.values(), *users.gone.values()]) | set(
        artifact_keys(project / "artifacts").values()
    )


def keys_of_refs(stored: Stored, folder: Path, refs: Iterable[str]) -> set[str]:
    """Return the keys of the results that were made at a commit that one of the git `refs` contains.

    Raises:
        ConfigError: git does not know a ref, or `folder` is not in a git repository.
    """
    commits = set().union(*(_commits(folder, ref) for ref in refs))
    return {key for key, trace in stored.traces.items() if trace.record.git.rstrip("+") in commits}


def _commits(folder: Path, ref: str) -> set[str]:
    done = _git(folder, "rev-list", "--end-of-options", ref, "--")
    if done.returncode == 0:
        return set(done.stdout.split())
    known = _git(folder, "for-each-ref", "--format=%(refname:short)").stdout.split()
    msg = f"gc: --keep-ref: git knows no {ref!r}{did_you_mean(ref, known)}\n  branches and tags: {listing(known)}"
    raise ConfigError(msg)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError as exc:
        msg = f"gc: --keep-ref: git cannot be run: {exc.strerror}\n  install git, or leave --keep-ref out"
        raise ConfigError(msg) from exc
