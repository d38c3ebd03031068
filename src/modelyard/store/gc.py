"""What may leave a store, and its removal: traces by age and size, and the objects that no trace names any more.

What a project that uses the store needs stays, whatever the bounds say. See docs/explanation/store.md.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from modelyard.concurrency.parallel import in_parallel
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.store.objects import JOBS, UNLISTED_S, Listed, ObjectStore
from modelyard.store.record import Record, object_name, read_trace
from modelyard.store.roots import Roots, all_roots, artifact_keys, needed_keys

OTHER_HOST_DAYS = 30
"""How long a project of another machine, which cannot be looked at from here, counts as alive after a build."""


class Bounds(msgspec.Struct, frozen=True):
    """What the store is bounded by: `max_size_bytes` in all, and `older_than_s` since a result was used last."""

    max_size_bytes: int | None = None
    older_than_s: float | None = None


class Trace(msgspec.Struct, frozen=True):
    """A trace in a store: its file, and what it names."""

    file: Listed
    record: Record


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a store.

    Attributes:
        traces: by action key.
        objects: by digest.
        junk: damaged traces, what killed builds left half-written, and answers to builds that nobody waits for.
        growing: the keys and digests of what may belong to a result that is being written, and so stays.
    """

    traces: dict[str, Trace]
    objects: dict[str, Listed]
    junk: list[Listed]
    growing: frozenset[str] = frozenset()

    @property
    def size_bytes(self) -> int:
        """The size of all traces and objects, in bytes."""
        return sum(t.file.size for t in self.traces.values()) + sum(one.size for one in self.objects.values())


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go: traces by key, objects by digest, and other files; and the store's size before and after, in bytes."""

    traces: list[str]
    objects: list[str]
    junk: list[Listed]
    before_bytes: int
    after_bytes: int


def read_store(store: ObjectStore, now: float | None = None) -> Stored:
    """Return what is in the store.

    Raises:
        StoreError: it cannot be read.
    """
    settled = math.inf if store.is_exclusive else (now or time.time()) - UNLISTED_S
    listed = list(store.list("traces"))
    found = in_parallel(lambda file: _trace(store, file), listed)
    traces = {one.record.key: one for one in found if isinstance(one, Trace)}
    damaged = [file for file, one in zip(listed, found, strict=True) if one is None]
    junk = [file for file in damaged if file.used <= settled or file.name.endswith(".json")]  # a trace comes whole
    objects = {}
    for file in store.list("objects"):  # behind the traces, so that what they name is seen
        digest = "".join(file.name.split("/")[1:])
        if object_name(digest) == file.name and len(digest) == 64:
            objects[digest] = file
        elif file.used <= settled:
            junk.append(file)
    junk += [file for file in store.list(JOBS) if file.used <= (now or time.time()) - UNLISTED_S]
    growing = {digest for digest, file in objects.items() if file.used > settled}
    growing |= {key for key, trace in traces.items() if trace.file.used > settled}
    return Stored(traces=traces, objects=objects, junk=junk, growing=frozenset(growing))


def _trace(store: ObjectStore, file: Listed) -> Trace | bool | None:
    """Return a trace; None for one that is damaged, False for one that went away meanwhile."""
    try:
        data = store.load(file.name)
        key = "".join(file.name.split("/")[1:]).removesuffix(".json")
        return False if data is None else Trace(file, read_trace(data, key))
    except ValueError:
        return None


def plan_sweep(stored: Stored, needed: set[str], bounds: Bounds, now: float | None = None) -> Sweep:
    """Return what must go so that the store keeps to `bounds`.

    Args:
        stored: what is there.
        needed: the action keys that stay whatever the bounds say.
        bounds: the bounds.
        now: seconds since 1970; today if left out.
    """
    oldest = -1.0 if bounds.older_than_s is None else (now or time.time()) - bounds.older_than_s
    free = sorted(
        (t for key, t in stored.traces.items() if key not in needed | stored.growing), key=lambda t: t.file.used
    )
    going = [t for t in free if t.file.used <= oldest]
    gone = {t.record.key for t in going}
    uses = Counter(d for key, t in stored.traces.items() if key not in gone for d in _digests(t, stored))
    uses.update(stored.growing & stored.objects.keys())
    size = sum(stored.objects[d].size for d in uses) + sum(
        t.file.size for key, t in stored.traces.items() if key not in gone
    )
    for trace in free[len(going) :]:
        if bounds.max_size_bytes is None or size <= bounds.max_size_bytes:
            break
        gone.add(trace.record.key)
        size -= trace.file.size
        for digest in _digests(trace, stored):
            uses[digest] -= 1
            size -= 0 if uses[digest] else stored.objects[digest].size
    unused = sorted(d for d in stored.objects if not uses[d])
    return Sweep(
        traces=sorted(gone), objects=unused, junk=stored.junk, before_bytes=stored.size_bytes, after_bytes=size
    )


def _digests(trace: Trace, stored: Stored) -> set[str]:
    return {entry.digest for entry in trace.record.outputs.values()} & stored.objects.keys()


def files_of(stored: Stored, what: Sweep) -> list[Listed]:
    """Return the files that are to go, traces before their objects."""
    traces = [stored.traces[key].file for key in what.traces]
    return [*traces, *(stored.objects[digest] for digest in what.objects), *what.junk]


# What stays


class Users(msgspec.Struct, frozen=True):
    """The projects that use a store: those that count, those that are gone, by the file that names each."""

    alive: dict[Listed, Roots]
    gone: dict[Listed, Roots]
    damaged: list[Listed]


def users_of(store: ObjectStore, now: float | None = None) -> Users:
    """Return the projects that use the store.

    Raises:
        StoreError: it cannot be read.
    """
    users = Users({}, {}, [])
    for file, roots in all_roots(store):
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
