"""Manifests of a deploy target that is no longer in pyproject.toml: they must not lie there, ready to be applied.

What a build wrote and nobody changed is removed; the store has it, so that the target's return brings it back. What somebody
added or changed is moved aside. Artifacts of other kinds stay: nobody applies them, and as long as they are there, what they
were made from is kept from `doit gc`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from modelyard.errors import StoreError
from modelyard.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from modelyard.files.digests import DigestTable
    from modelyard.project.workspace import Workspace
    from modelyard.store.local import Store

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
    from modelyard.project.aside import move_aside, shown

    folder, brief = workspace.folder(stage), workspace.brief(stage)
    said = f"{stage.id} is no longer in pyproject.toml: {shown(folder, workspace)} is removed"
    try:
        outputs = brief.outputs if brief else {}
        aside = move_aside(stage, workspace, [outputs], table)
        said += f"; what was added or changed there is in {aside}" if aside else ""
        if folder.exists():
            with store.preserving_digests(outputs):
                shutil.rmtree(folder)
    except OSError as exc:
        msg = (
            f"{exc.filename or folder}: {exc.strerror}\n  {stage.id} is no longer in pyproject.toml: remove its folder"
        )
        raise StoreError(msg) from exc
    tell(said)
