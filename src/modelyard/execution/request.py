"""What a stage that runs elsewhere is asked, and what it answers: two documents in the remote store.

A request needs nothing of the machine that wrote it: what the stage is stands in the project's files, which are objects of the
store, and in the parts of its key; what it reads are manifests, whose files are objects, too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from modelyard.files.manifest import Manifest
from modelyard.store.objects import JOBS
from modelyard.store.record import Record


class StageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A stage to run.

    Attributes:
        job: the name of the job.
        stage: the stage's id.
        key: its action key.
        parts: what the key was made of: components with their parameters, settings, seed, the machine.
        inputs: the records of the artifacts that it reads, by stage, without what is of no use there.
        sources: the project's files: those that say what the project is, the code of its components, and what the
            stage's parameters name.
        overrides: what the command line sets.
        commit: the commit that the project is at, with `+` behind it if the tree is not clean; empty outside git.
        force: whether to run it even if its result is in the store.
    """

    job: str
    stage: str
    key: str
    parts: dict[str, Any]
    inputs: dict[str, Record]
    sources: Manifest
    overrides: dict[str, str]
    commit: str
    force: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a stage.

    Attributes:
        key: the action key that was asked for.
        message: why there is no result; empty: there is one.
        log: the stage's log, its end if it is long.
    """

    key: str
    message: str = ""
    log: str = ""


def answer_name(job: str) -> str:
    """Return the name of the answer of the job called `job`, below the root of the store."""
    return f"{JOBS}/{job}.json"
