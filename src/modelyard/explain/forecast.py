"""How long a build would take, and where what it has to do begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.build.verdict import UP_TO_DATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.build.verdict import Verdict
    from modelyard.plan.planner import Plan
    from modelyard.project.workspace import Workspace
    from modelyard.stage import Stage


def expected_s(workspace: Workspace, stage: Stage) -> float | None:
    """Return how long the stage's work will take, in seconds: the median of its last builds; None if it never ran."""
    known = workspace.history(stage).durations()
    if not known:
        record = workspace.record(stage)
        known = [record.duration_s] if record else []
    import statistics  # it brings fractions and decimal, which every build that changes something would load

    return statistics.median(known) if known else None


def roots(plan: Plan, stage: Stage, verdicts: Mapping[str, Verdict]) -> list[str]:
    """Return the stages farthest upstream that make `stage` stale: those that read nothing stale themselves."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = [stage]
    while todo:
        one = todo.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        stale = [u for u in plan.upstream(one) if UP_TO_DATE not in (verdicts[u.id].state, verdicts[one.id].state)]
        if not stale and one is not stage:
            found.add(one.id)
        todo += stale
    return [name for name in plan.stages if name in found]
