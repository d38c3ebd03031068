"""Manifests of a deploy target that is no longer in pyproject.toml: they must not lie there, ready to be applied.

What a build wrote and nobody changed is removed; the store has it, so that the target's return brings it back. What somebody
added or changed is moved aside. Artifacts of other kinds stay: nobody applies them, and as long as they are there, what they
were made from is kept from `doit gc`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from modelyard.digests import walk
from modelyard.errors import DataError, StoreError
from modelyard.plan import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from modelyard.digests import DigestTable
    from modelyard.store import Brief, Store
    from modelyard.workspace import Workspace

KIND = "render"


def leftovers(workspace: Workspace, known: Collection[str]) -> list[Stage]:
    """Return a stage for each rendered artifact that is there and whose target is not among `known`."""
    try:
        with os.scandir(workspace.artifacts / KIND) as entries:
            return [Stage(KIND, e.name) for e in entries if e.name not in known and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def put_away(stage: Stage, workspace: Workspace, store: Store, table: DigestTable, tell: Callable[[str], None]) -> None:
    """Remove a leftover and tell so, in one line.

    Args:
        stage: the stage that nobody makes any more; its lock must be held.
        workspace: where it lies.
        store: what keeps its files.
        table: what files are recognized by.
        tell: takes the line.

    Raises:
        StoreError: something cannot be moved or removed.
    """
    folder, brief = workspace.folder(stage), workspace.brief(stage)
    said = f"{stage.id} is no longer in pyproject.toml: {_shown(folder, workspace)} is removed"
    try:
        rest = _not_ours(folder, brief, table)
        if rest:
            said += f"; what was added or changed there is in {_shown(_move(folder, rest, workspace), workspace)}"
        if folder.exists():
            with store.keeping_known(brief.outputs if brief else {}):
                shutil.rmtree(folder)
    except OSError as exc:
        msg = (
            f"{exc.filename or folder}: {exc.strerror}\n  {stage.id} is no longer in pyproject.toml: remove its folder"
        )
        raise StoreError(msg) from exc
    tell(said)


def _not_ours(folder: Path, brief: Brief | None, table: DigestTable) -> list[str]:
    """Return the files that no build wrote as they are; `.` for all, where nobody can tell."""
    if brief is None:
        return ["."]
    try:
        found = [path for path, _ in walk(folder)]
    except DataError:
        return ["."]
    ours = {"stage.json", *_unchanged(folder, brief, table)}
    return [path for path in found if path not in ours]


def _unchanged(folder: Path, brief: Brief, table: DigestTable) -> Iterator[str]:
    for path, entry in brief.outputs.items():
        if (folder / path).is_file() and table.file(folder / path) == entry.digest:
            yield path


def _move(folder: Path, files: Collection[str], workspace: Workspace) -> Path:
    """Move files of `folder`, or all of it, to a new place, which is returned."""
    places = workspace.artifacts / ".aside" / KIND
    number = next(n for n in range(1, 10**6) if not (places / f"{folder.name}.{n}").exists())
    aside = places / f"{folder.name}.{number}"
    for file in files:
        target = aside / file
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / file).rename(target)
    return aside


def _shown(path: Path, workspace: Workspace) -> str:
    return f"{path.relative_to(workspace.project).as_posix()}/"
