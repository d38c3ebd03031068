"""What a build says at its end of the variants: the table, which one ships, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.files.json import read_json

if TYPE_CHECKING:
    from modelyard.build.state import BuildState
    from modelyard.stage import Stage
    from modelyard.variants.selection import Selection


def made(state: BuildState, stage: Stage, then: str) -> Iterator[str]:
    """Yield the lines about a selection that a variant came out of; `then` is what to do next, if anything."""
    folder = state.workspace.folder(stage)
    yield from _lines(folder / "selection.json", folder / "table.md")
    if then:
        yield f"   next: {then}"


def failed(state: BuildState, stage: Stage) -> Iterator[str]:
    """Yield the lines about a selection that no variant came out of; none if it failed for another reason."""
    from modelyard.variants.verdicts import missed_most

    log = state.workspace.log(stage)
    selection = _read(log.with_suffix(".selection.json"))
    if selection is None:
        return
    yield from _lines(log.with_suffix(".selection.json"), log.with_suffix(".table.md"))
    gate = missed_most(selection)
    yield f"   next: `doit {stage.kind} gates.{gate}=...` tries another bound"


def _lines(file: Path, table: Path) -> Iterator[str]:
    from modelyard.variants.verdicts import seed_lines, summary, table_lines

    selection = _read(file)
    if selection is None:
        return
    yield from (f"   {line}" for line in (*table_lines(selection), *seed_lines(selection)))
    yield f"   {summary(selection)}"
    yield f"   all figures: {os.path.relpath(table)}"


def _read(file: Path) -> Selection | None:
    from modelyard.variants.selection import Selection

    try:
        return read_json(file, Selection)
    except (OSError, ModelyardError):  # the table is no reason to fail
        return None
