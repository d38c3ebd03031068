"""What a report says of the build: the project, its stages, trainings, and what artifacts were made of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["up-to-date", "stale", "maybe", "missing"]
How = Literal["built", "restored", "accepted", ""]


class ProjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was built, and at which commit.

    Attributes:
        name: the project's name.
        version: the project's version.
        commit: the git commit of the working tree; empty outside git.
        clean: whether the tree had no changes; None outside git.
    """

    name: str
    version: str
    commit: str
    clean: bool | None


class StageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the build.

    Attributes:
        stage: `kind:name`.
        state: `up-to-date`; `stale`: the next build makes it anew or restores it; `maybe`: so if what it reads comes
            out different; `missing`: it has no artifact.
        how: how its artifact came: `built`, `restored` from the store, `accepted` for new code; empty without one.
        touched: whether the last build that did anything brought it up to date; False: it was so already.
        started: when that was, ISO 8601; empty without an artifact.
        duration_s: how long the work took when it was built, in seconds; None without an artifact.
        digest: digest of the artifact; empty without one.
        reads: the stages that it reads.
        reasons: why it is stale.
        failure: why it failed in the last build; empty if it did not.
    """

    stage: str
    state: State
    how: How
    touched: bool
    started: str
    duration_s: float | None
    digest: str
    reads: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    failure: str = ""


class CurveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a training or fine-tuning went: one list a figure (`loss`, `val_accuracy` ...), one number an epoch."""

    stage: str
    epochs: tuple[float, ...]
    figures: dict[str, tuple[float | None, ...]]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What one artifact was made of; the fields are those of `artifacts/build.json`."""

    stage: str
    key: str
    digest: str
    commit: str
    clean: bool | None
    components: dict[str, str]
    parameters: dict[str, Any]
    files: dict[str, str]
    code: dict[str, str]
    tools: dict[str, str]
