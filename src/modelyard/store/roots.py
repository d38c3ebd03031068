"""What must stay in a store: for each project that uses it, the action keys of its artifacts.

A project writes its keys to `projects/` in the store at the end of a build. Its artifacts count too, so that
a build that is under way, or was killed, loses nothing.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelyard.files.atomic import replacing
from modelyard.files.json import decode, find_json, write_json
from modelyard.files.scratch import Scratch
from modelyard.store.folder import UNFINISHED, store_errors

if TYPE_CHECKING:
    from modelyard.store.objects import Listed, ObjectStore

PROJECTS = "projects"
"""The folder of a store in which each project that uses it has a file."""


class Roots(msgspec.Struct, frozen=True, kw_only=True):
    """What one project needs.

    Attributes:
        path: the project's folder.
        host: the machine that it was built on.
        updated: when, ISO 8601 with time zone.
        keys: for each stage, the action key of its last result.
    """

    path: str
    host: str
    updated: str
    keys: dict[str, str]

    @property
    def is_of_this_host(self) -> bool:
        """Whether the project was built on this machine, so that its folder can be looked at."""
        return self.host == socket.gethostname()

    @property
    def is_here(self) -> bool:
        """Whether the project's folder is there and can be looked at."""
        return self.is_of_this_host and Path(self.path).is_dir()

    def needed(self) -> set[str]:
        """Return the keys that the project needs: those it wrote down, and those of the artifacts it has now."""
        now = artifact_keys(Path(self.path) / "artifacts") if self.is_here else {}
        return {*self.keys.values(), *now.values()}


class _Keyed(msgspec.Struct, frozen=True):
    key: str


def artifact_keys(artifacts: Path) -> dict[str, str]:
    """Return the action key of every artifact in the folder `artifacts`, by stage."""
    places = [f"{kind}/{name}" for kind in _shown(artifacts) for name in _shown(artifacts / kind)]
    found = ((place.replace("/", ":"), find_json(f"{artifacts}/{place}/stage.json", _Keyed)) for place in places)
    return {stage: record.key for stage, record in found if record is not None}


def _shown(folder: Path) -> list[str]:
    """Return the names in `folder` that do not begin with a dot, sorted; none if it is no folder, or cannot be read."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - each build asks
    except OSError:
        return []


def roots_file(store: Path, project: Path) -> Path:
    """Return the file in the store that holds what `project` needs; one for each machine."""
    name = f"{socket.gethostname()}:{project}"
    return store / PROJECTS / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def register(store: Path, project: Path, stages: Iterable[str]) -> None:
    """Write down what `project` needs: its artifacts' keys; for one of its `stages` that has none now, the last known.

    Raises:
        StoreError: the store cannot be written.
    """
    file = roots_file(store, project)
    earlier = read_roots(file)
    keys = {stage: key for stage, key in (earlier.keys if earlier else {}).items() if stage in set(stages)}
    keys |= artifact_keys(project / "artifacts")
    now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    roots = Roots(path=str(project), host=socket.gethostname(), updated=now, keys=keys)
    with (
        store_errors(store),
        closing(Scratch(store / UNFINISHED)) as scratch,
        scratch.folder() as folder,
        replacing(file, folder) as draft,
    ):
        write_json(draft, roots)


def read_roots(file: Path) -> Roots | None:
    """Return what a project wrote down, or None if it cannot be read."""
    return find_json(file, Roots)


def all_roots(store: ObjectStore) -> Iterator[tuple[Listed, Roots | None]]:
    """Yield the file of each project that uses the store, and what it holds; None if it is damaged.

    Raises:
        StoreError: they cannot be read.
    """
    for file in store.list(PROJECTS):
        data = store.load(file.name) if file.name.endswith(".json") else None
        if data is not None:
            yield file, _roots(data)


def _roots(data: bytes) -> Roots | None:
    try:
        return decode(data, Roots)
    except ValueError:
        return None


def needed_keys(projects: Iterable[Roots]) -> set[str]:
    """Return the keys that at least one project needs."""
    return set().union(*(roots.needed() for roots in projects))
