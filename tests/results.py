"""Results of stages that nothing ran: what a build leaves of each, for tests of what is said of builds."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.files.json import write_json
from modelyard.files.manifest import manifest_digest
from modelyard.store.record import RECORD, Record
from tests.standins.manifests import manifest_of

if TYPE_CHECKING:
    from modelyard.build.state import BuildState

STARTED = "2026-01-02T03:04:05+00:00"


def leave(
    state: BuildState, name: str, files: Mapping[str, str] | None = None, how: str = "built", **known: Any
) -> Record:
    """Leave a result of a stage with the key that it has now: artifact, record, trace in the store, and line of history.

    Args:
        state: of the build; what the stage reads is there.
        name: the stage's id.
        files: what it made, by name.
        how: how that came.
        known: further fields of its record.
    """
    stage = state.plan.stages[name]
    folder = state.workspace.folder(stage)
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in (files or {"made.txt": name}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    outputs, today = manifest_of(folder), state.judge.fingerprint(stage)
    usual: dict[str, Any] = {"key": today.key, "parts": today.parts, "started": STARTED, "duration_s": 2.5}
    usual |= {"inputs": state.judge.inputs(stage), "code": state.judge.keys.code(stage)}
    record = Record(stage=name, digest=manifest_digest(outputs), outputs=outputs, **usual | known)
    state.store.add(record, folder)
    write_json(folder / RECORD, record)
    state.workspace.history(stage).add(record, how)
    state.judge.invalidate(stage, sources=False)
    return record
