"""`doit plan [STAGE]`: what a build would run, restore and leave alone, and how long it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.build.verdict import MAYBE, REMOTE, RESTORE, RUN, UP_TO_DATE, in_words
from modelyard.commands.base import ProjectCommand, print_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a build would do with one stage.

    Attributes:
        stage: the stage.
        state: `up-to-date`, `restore`, `run` or `maybe`; see `verdict.Verdict`.
        otherwise: for `maybe`: `up-to-date` or `restore`, if all that it reads comes out the same.
        source: where a `restore` comes from: `store` or `remote`; else empty.
        expected_s: how long it would run, in seconds; None if it never ran.
        because: its first reasons, or the stages that it waits for.
    """

    stage: str
    state: str
    otherwise: str
    source: str
    expected_s: float | None
    because: list[str]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The sums: how many stages of each state, and the work that they mean.

    Attributes:
        run: how many will run.
        maybe: how many may run.
        restore: how many come back without work, from the store or the remote.
        from_remote: how many of those come from the remote.
        up_to_date: how many stay as they are.
        least_s: work in seconds if every `maybe` stays as it is.
        most_s: work in seconds if every `maybe` runs.
        unknown: how many of those that will or may run never ran, and so are in neither sum.
    """

    run: int
    maybe: int
    restore: int
    from_remote: int
    up_to_date: int
    least_s: float
    most_s: float
    unknown: int


class Plan(ProjectCommand):
    """The command `plan`."""

    name = "plan"
    doc_purpose = "say what a build would do, without doing it"
    doc_usage = "[STAGE ...] [KEY=VALUE ...]"
    doc_description = (
        "For every stage (or those named, and all that they read): `run`, `restore` from the store or the remote, "
        "`up to date`, or `maybe`, when something that it reads will run and may come out the same as before. "
        "Durations are those of earlier builds; they are the stages' own work, which `-n` can do side by side."
    )

    def answer(self, engine: Any, options: Any, names: list[str]) -> int:
        """Print what a build would do."""
        steps = forecast_steps(engine, self.stages(engine.plan, names))
        total = add_up(steps)
        if options["json"]:
            print_json({"stages": steps, "total": total})
        else:
            print(text(steps, total))
        return 0


def forecast_steps(engine: Any, stages: Sequence[Any]) -> list[Step]:
    """Return what a build of `stages` would do, with all that they read, in the order of a build."""
    from modelyard.explain.forecast import expected_s

    verdicts = engine.judge.verdicts(stages)
    return [
        Step(
            stage=name,
            state=verdict.state,
            otherwise=verdict.otherwise,
            source=verdict.source,
            expected_s=expected_s(engine.workspace, engine.plan.stages[name])
            if verdict.state in (RUN, MAYBE)
            else None,
            because=_because(engine, engine.plan.stages[name], verdicts),
        )
        for name, verdict in verdicts.items()
    ]


def _because(engine: Any, stage: Any, verdicts: dict[str, Any]) -> list[str]:
    from modelyard.explain.reasons import reasons

    if verdicts[stage.id].state == UP_TO_DATE:
        return []
    found = list(reasons(engine, stage, verdicts))
    own = [reason.text.partition("\n")[0] for reason in found if reason.kind != "upstream"]
    return own or [f"after {reason.name}" for reason in found]


def add_up(steps: Sequence[Step]) -> Total:
    """Return the sums over `steps`."""
    states = [step.state for step in steps]
    known = [(step.state, step.expected_s) for step in steps if step.expected_s is not None]
    return Total(
        run=states.count(RUN),
        maybe=states.count(MAYBE),
        restore=states.count(RESTORE),
        from_remote=sum(step.state == RESTORE and step.source == REMOTE for step in steps),
        up_to_date=states.count(UP_TO_DATE),
        least_s=round(sum(s for state, s in known if state == RUN), 3),
        most_s=round(sum(s for _, s in known), 3),
        unknown=states.count(RUN) + states.count(MAYBE) - len(known),
    )


def text(steps: Sequence[Step], total: Total) -> str:
    """Return the plan in words: a line for each stage, and a last line that sums up."""
    from modelyard.units import duration

    rows = [
        (
            in_words(step.state),
            step.stage,
            "" if step.state not in ("run", "maybe") else "?" if step.expected_s is None else duration(step.expected_s),
            _shorten([*_origin(step), *step.because]),
        )
        for step in steps
    ]
    restore = f"{total.restore} ({total.from_remote} from the remote)" if total.from_remote else str(total.restore)
    last = f"would run {total.run}, may run {total.maybe}, restore {restore}, leave {total.up_to_date} as they are"
    if total.run + total.maybe == total.unknown:
        return f"{table(rows, right=(2,))}\n{last}"
    least, most = duration(total.least_s), duration(total.most_s)
    work = least if total.least_s == total.most_s else f"{least} to {most}"
    unknown = f", and {total.unknown} of unknown length" if total.unknown else ""
    return f"{table(rows, right=(2,))}\n{last}; expected work {work}{unknown}"


def _origin(step: Step) -> list[str]:
    return ["from the remote"] if step.state == RESTORE and step.source == REMOTE else []


def _shorten(because: Sequence[str], limit: int = 2) -> str:
    more = f"; and {len(because) - limit} more" if len(because) > limit else ""
    return "; ".join(because[:limit]) + more
