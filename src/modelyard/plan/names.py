"""What a person writes for stages: one by its id, all of a kind, or a pattern."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from modelyard.errors import PlanError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelyard.plan.planner import Plan
    from modelyard.stage import Stage


def stages_named(plan: Plan, names: Sequence[str], command: str) -> list[Stage]:
    """Return the stages that `names` stand for, in the order of a build.

    Args:
        plan: the project's stages.
        names: stages (`train:digits-cnn`), kinds (`train`: all of that kind) or patterns (`optimize:*`).
        command: who asks, for messages: a command's name.

    Raises:
        PlanError: a name stands for nothing.
    """
    found: set[str] = set()
    for name in names:
        matches = [s.id for s in plan.stages.values() if name == s.kind or fnmatch.fnmatchcase(s.id, name)]
        if not matches:
            known = {*plan.stages, *(s.kind for s in plan.stages.values())}
            msg = f"{command}: there is no stage {name!r}{did_you_mean(name, known)}\n  stages: {listing(plan.stages)}"
            raise PlanError(msg)
        found.update(matches)
    return [stage for stage in plan.stages.values() if stage.id in found]


def with_upstream(plan: Plan, stages: Iterable[Stage]) -> list[Stage]:
    """Return `stages` and all that they read, directly or not, in the order of a build."""
    found: set[str] = set()
    todo = list(stages)
    while todo:
        stage = todo.pop()
        if stage.id not in found:
            found.add(stage.id)
            todo += plan.upstream(stage)
    return [stage for stage in plan.stages.values() if stage.id in found]
