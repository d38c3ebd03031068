"""One stage as its worker sees it: the stage, the project, its inputs as folders, and where to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from modelyard.config.config import Config
from modelyard.contexts import StageContext
from modelyard.plan.planner import Plan
from modelyard.plugins.load import Plugins
from modelyard.stage import Stage

C = TypeVar("C", bound=StageContext)
Unheard = Callable[[], AbstractContextManager[None]]


class Job(msgspec.Struct, frozen=True):
    """A stage to run.

    Attributes:
        stage: the stage.
        plan: the plan that it is part of.
        plugins: the project's plugins.
        inputs: what it reads, a folder or file by role.
        base: the context's common part.
        log_file: the file of the stage's log, for programs that the stage starts.
        unheard: lets a block read what it likes, of which nothing shapes what the stage writes.
        ways: what decides what its components make of a sample, by role: see `keys.ways`.
    """

    stage: Stage
    plan: Plan
    plugins: Plugins
    inputs: Mapping[str, Path]
    base: StageContext
    log_file: Path
    unheard: Unheard = nullcontext
    ways: Mapping[str, str] = {}

    @property
    def config(self) -> Config:
        """The pipeline that the stage is of."""
        return self.plan.config_of(self.stage)

    def context(self, kind: type[C], **extra: Any) -> C:
        """Return a context of `kind`: the common part and `extra`."""
        return kind(**{name: getattr(self.base, name) for name in StageContext.__struct_fields__}, **extra)

    def call(self, role: str, *args: Any) -> Any:
        """Call the component that has `role` with `args` and its parameters."""
        use = self.stage.uses[role]
        return use.component.function(*args, **use.params)
