"""What a build would do with each stage, without doing it. The engine decides, as it does in a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import ModelyardError
from modelyard.plan.names import with_upstream
from modelyard.store.record import Brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.build.engine import Engine
    from modelyard.build.staleness import Decision
    from modelyard.stage import Stage

UP_TO_DATE, RESTORE, RUN, MAYBE = "up-to-date", "restore", "run", "maybe"
STORE, REMOTE = "store", "remote"
_STATES = {"fresh": UP_TO_DATE, "restored": RESTORE, "built": RUN}


class Verdict(msgspec.Struct, frozen=True):
    """What a build would do with one stage.

    Attributes:
        state: `up-to-date`, `restore` (without work), `run`, or `maybe`: something that it reads will run, and
            if that comes out the same as before, the stage need not run.
        otherwise: for `maybe`: what happens if all that it reads comes out the same, `up-to-date` or `restore`.
        source: where a `restore` comes from, `store` (here) or `remote`; else empty.
        decision: the engine's decision, under the assumption that what will run comes out the same; None if
            something that it reads has never been made, or its inputs cannot be read.
        error: what stops the stage, in words.
    """

    state: str
    otherwise: str = ""
    source: str = ""
    decision: Decision | None = None
    error: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether the stage's output is known before the build."""
        return self.state in (UP_TO_DATE, RESTORE)


class Forecast:
    """The verdicts on the stages of one project, each found once.

    The remote store is asked for what is not here: a trace, and whether its objects are there; none is fetched.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._plan = engine, engine.plan
        self._verdicts: dict[str, Verdict] = {}

    def of(self, stages: Iterable[Stage]) -> dict[str, Verdict]:
        """Return the verdict on each of `stages` and on all that they read, in the order of a build."""
        needed = with_upstream(self._plan, stages)
        for stage in needed:
            if stage.id not in self._verdicts:
                self._verdicts[stage.id] = self._judge(stage)
        return {stage.id: self._verdicts[stage.id] for stage in needed}

    def brief(self, stage: Stage) -> Brief | None:
        """Return the record that the stage's artifact will have, as far as that is known."""
        verdict = self._verdicts[stage.id]
        record = verdict.decision.record if verdict.state == RESTORE and verdict.decision else None
        return (
            Brief(record.key, record.digest, record.outputs, record.discovered) if record else self._engine.brief(stage)
        )

    def _judge(self, stage: Stage) -> Verdict:
        unsettled = [u for u in self._plan.upstream(stage) if not self._verdicts[u.id].is_settled]
        if any(self._engine.brief(upstream) is None for upstream in unsettled):
            return Verdict(RUN)
        try:
            decision, source = self._decide(stage)
        except ModelyardError as exc:
            return Verdict(RUN, error=str(exc))
        state = _STATES[decision.how]
        if unsettled and state != RUN:
            return Verdict(MAYBE, state, source, decision)
        return Verdict(state, source=source, decision=decision)

    def _decide(self, stage: Stage) -> tuple[Decision, str]:
        """Return the engine's decision, and where a restored result would come from."""
        decision = self._engine.decide(stage, self.brief)
        if decision.how == "restored":
            return decision, STORE
        record = self._engine.store.offer(decision.fingerprint.key) if decision.how == "built" else None
        if record is None or self._engine.freshness.undone(record.discovered):
            return decision, ""
        return msgspec.structs.replace(decision, how="restored", record=record), REMOTE


def expected_s(engine: Engine, stage: Stage) -> float | None:
    """Return how long the stage's work will take, in seconds: the median of its last builds; None if it never ran."""
    known = engine.history(stage).durations()
    if not known:
        record = engine.record(stage)
        known = [record.duration_s] if record else []
    import statistics  # it brings fractions and decimal, which every build that changes something would load

    return statistics.median(known) if known else None


def roots(engine: Engine, stage: Stage, verdicts: Mapping[str, Verdict]) -> list[str]:
    """Return the stages farthest upstream that make `stage` stale: those that read nothing stale themselves."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = [stage]
    while todo:
        one = todo.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        stale = [
            u for u in engine.plan.upstream(one) if UP_TO_DATE not in (verdicts[u.id].state, verdicts[one.id].state)
        ]
        if not stale and one is not stage:
            found.add(one.id)
        todo += stale
    return [name for name in engine.plan.stages if name in found]
