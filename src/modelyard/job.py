"""One stage as its worker sees it: the stage, the project, its inputs as folders, and where to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.contexts import StageContext
from modelyard.plan import Plan, Stage
from modelyard.plugins import Plugins

C = TypeVar("C", bound=StageContext)


class Request(msgspec.Struct, kw_only=True):
    """What the `doit` process tells a worker, as one JSON file.

    Attributes:
        id: a number that progress lines carry.
        project: the project's folder.
        overrides: the command line's overrides.
        stage: the stage's id.
        inputs: the folder or file of each input, by role.
        out: the empty folder to write to.
        cache: the folder for downloads.
        result: the file to write the `Result` to.
        log: the file that stdout and stderr go to.
    """

    id: int
    project: str
    overrides: dict[str, str]
    stage: str
    inputs: dict[str, str]
    out: str
    cache: str
    result: str
    log: str


class Failure(msgspec.Struct):
    """Why a stage did not reach its end: a message for a person, and a traceback for its log."""

    message: str
    traceback: str = ""


class Result(msgspec.Struct):
    """What a worker answers, as one JSON file."""

    metrics: dict[str, Any] = {}
    failure: Failure | None = None


@dataclass(frozen=True)
class Job:
    """A stage to run.

    Attributes:
        stage: the stage.
        plan: the plan that it is part of.
        plugins: the project's plugins.
        inputs: what it reads, a folder or file by role.
        base: the context's common part.
        log_file: the file of the stage's log, for programs that the stage starts.
    """

    stage: Stage
    plan: Plan
    plugins: Plugins
    inputs: Mapping[str, Path]
    base: StageContext
    log_file: Path

    def context(self, kind: type[C], **extra: Any) -> C:
        """Return a context of `kind`: the common part and `extra`."""
        return kind(**{f.name: getattr(self.base, f.name) for f in fields(StageContext)}, **extra)

    def call(self, role: str, *args: Any) -> Any:
        """Call the component that has `role` with `args` and its parameters."""
        use = self.stage.uses[role]
        return use.component.function(*args, **use.params)
