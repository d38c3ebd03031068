"""The end of a build, whoever asked for it: what is written down of it, and what is given to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.build.engine import Engine


def end_build(engine: Engine, *, changed: bool, looked: bool, tell: Callable[[str], None]) -> None:
    """Write down what a build did, and let the store and the remote know; what cannot be written is a warning.

    Args:
        engine: the project's engine; its journal holds what became of each stage.
        changed: whether a stage was brought up to date.
        looked: whether a stage was found up to date.
        tell: takes the warnings.
    """
    _write_provenance(engine, changed=changed, looked=looked, tell=tell)
    try:
        engine.journal.write(engine.workspace.journal_file)
    except OSError as exc:
        tell(f"warning: {engine.workspace.journal_file}: cannot be written: {exc.strerror}")
    try:
        engine.finish(changed=changed)
    except ModelyardError as exc:
        tell(f"warning: {exc}")


def _write_provenance(engine: Engine, *, changed: bool, looked: bool, tell: Callable[[str], None]) -> None:
    """Bring artifacts/build.json up to date; a build that changed nothing leaves it, as reading all records takes time."""
    if not changed and (not looked or (engine.workspace.artifacts / "build.json").exists()):
        return
    from modelyard.explain.provenance import write_build

    try:
        write_build(engine)
    except (OSError, ModelyardError) as exc:
        tell(f"artifacts/build.json could not be written: {exc}")
