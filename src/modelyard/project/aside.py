"""What somebody put into an artifact's folder, or changed there, is moved aside before the folder goes: it is never removed.

An artifact's folder is a build's, and is replaced as a whole. What is not as a build wrote it is a person's work: a folder
with passwords, a file that was edited to try something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import DataError
from modelyard.files.placing import SHARE_FROM_BYTES
from modelyard.files.walk import walk

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from modelyard.files.digests import DigestTable
    from modelyard.files.manifest import FileEntry, Manifest
    from modelyard.project.workspace import Workspace
    from modelyard.stage import Stage

FOLDER = ".aside"
"""The folder below `artifacts/` with what was moved aside."""
_NAMED = 3
"""How many files are named; a count stands for the others."""


def move_aside(stage: Stage, workspace: Workspace, ours: Collection[Manifest], table: DigestTable) -> str:
    """Move what nobody's build wrote out of a stage's artifact, which is about to be replaced or removed.

    Args:
        stage: the stage; its lock must be held.
        workspace: where the artifact lies.
        ours: the manifests of what builds wrote there; if all are empty, everything is moved.
        table: what files are recognized by.

    Returns:
        Where it is now, and what it is, for the person; empty: there was nothing.

    Raises:
        OSError: something cannot be moved.
    """
    folder = workspace.folder(stage)
    if not folder.is_dir():
        return ""
    found = list(_not_ours(folder, ours, table))
    if not found:
        return ""
    place = _move(folder, found, workspace.artifacts / FOLDER / stage.kind)
    what = ", ".join(sorted(found)[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
    return shown(place, workspace) + ("" if found == ["."] else f": {what}")


def spare(
    stage: Stage, workspace: Workspace, ours: Collection[Manifest], table: DigestTable, tell: Callable[[str], None]
) -> None:
    """Move aside what `move_aside` does, and tell the person where it is.

    Raises:
        OSError: something cannot be moved.
    """
    if aside := move_aside(stage, workspace, ours, table):
        tell(f"{stage.id}: what was added or changed in its artifact is now in {aside}")


def shown(path: Path, workspace: Workspace) -> str:
    """Return the folder `path` as a person in the project's folder would write it."""
    return f"{path.relative_to(workspace.project).as_posix()}/"


def _not_ours(folder: Path, ours: Collection[Manifest], table: DigestTable) -> Iterator[str]:
    """Yield the files that no build wrote as they are; `.` for all, where nobody can tell."""
    try:
        found = dict(walk(folder))
    except DataError:
        yield "."
        return
    if not any(ours):
        yield from ["."] if found else []
        return
    for path, info in found.items():
        written = [manifest[path] for manifest in ours if path in manifest]
        if path != "stage.json" and not any(_is(folder / path, info, entry, table) for entry in written):
            yield path


def _is(file: Path, info: os.stat_result, entry: FileEntry, table: DigestTable) -> bool:
    """Tell whether a file is what a build wrote; one that is large and as long is not read to find that out."""
    if info.st_size != entry.size:
        return False
    return info.st_size >= SHARE_FROM_BYTES or table.file(file, info) == entry.digest


def _move(folder: Path, files: Collection[str], places: Path) -> Path:
    """Move files of `folder`, or all of it, to a new place, which is returned."""
    number = next(n for n in range(1, 10**6) if not (places / f"{folder.name}.{n}").exists())
    place = places / f"{folder.name}.{number}"
    for file in files:
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / file).rename(target)
    return place
