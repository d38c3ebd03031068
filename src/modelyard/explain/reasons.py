"""Why a stage is stale: every reason, down to the parameter, the function, the file and the earlier stage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from modelyard.build.verdict import RESTORE, RUN, UP_TO_DATE
from modelyard.explain.differences import CodeChange, compare_code, compare_parts, say, show
from modelyard.explain.forecast import expected_s, roots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.build.state import BuildState
    from modelyard.build.verdict import Damage, Findings, Verdict
    from modelyard.stage import Stage
    from modelyard.store.record import Record


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a stage is stale.

    Attributes:
        kind: a kind of `differences.Change`, or `missing` (no artifact), `output` (an artifact's file was deleted,
            edited or added, or cannot be read), `discovered` (what the stage was seen to read is another), `upstream` (an earlier
            stage is stale) or `error`.
        name: what it is about.
        text: the reason in words.
        old: the value or digest that the artifact was made with; left out if there was none.
        new: today's; left out if there is none.
        functions: for `code`: the functions that changed, came or went.
    """

    kind: str
    name: str
    text: str
    old: Any | UnsetType = UNSET
    new: Any | UnsetType = UNSET
    functions: dict[str, tuple[str, ...]] | UnsetType = UNSET


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `doit why` on one stage.

    Attributes:
        stage: the stage.
        state: see `verdict.Verdict`.
        otherwise: see `verdict.Verdict`.
        source: see `verdict.Verdict`.
        reasons: why it is not up to date; empty if it is.
        roots: the stages farthest upstream that make it stale, itself not included.
        expected_s: how long it is expected to run, in seconds; None if it never ran.
    """

    stage: str
    state: str
    otherwise: str
    source: str
    reasons: list[Reason]
    roots: list[str]
    expected_s: float | None


def explain(state: BuildState, stage: Stage) -> Explanation:
    """Return why `stage` is stale, or that it is not."""
    verdicts = state.judge.verdicts([stage])
    verdict = verdicts[stage.id]
    found = [] if verdict.state == UP_TO_DATE else list(reasons(state, stage, verdicts))
    return Explanation(
        stage=stage.id,
        state=verdict.state,
        otherwise=verdict.otherwise,
        source=verdict.source,
        reasons=found,
        roots=roots(state.plan, stage, verdicts),
        expected_s=expected_s(state.workspace, stage),
    )


def reasons(state: BuildState, stage: Stage, verdicts: dict[str, Verdict]) -> Iterator[Reason]:
    """Yield every reason why `stage` is stale; `verdicts` holds it and all that it reads."""
    verdict, record = verdicts[stage.id], state.workspace.record(stage)
    if verdict.error:
        yield Reason(kind="error", name=stage.id, text=verdict.error)
    if verdict.findings.absent:
        yield Reason(kind="missing", name=stage.id, text=verdict.findings.absent)
    elif record is not None:
        yield from _outputs(stage, verdict.findings)
        yield from _discovered(record, verdict.findings)
        if verdict.fingerprint is not None:
            yield from _changes(state, stage, record, verdict.fingerprint.parts, verdicts)
    for upstream in state.plan.upstream(stage):
        if not verdicts[upstream.id].is_settled:
            yield _upstream(stage, upstream, verdicts[upstream.id])


def _upstream(stage: Stage, upstream: Stage, verdict: Verdict) -> Reason:
    roles = ", ".join(i.role for i in stage.inputs if i.stage == upstream.id)
    what = "is stale" if verdict.state == RUN else "may be stale"
    text = f"input {roles}: {upstream.id} {what}, see `doit why {upstream.id}`"
    return Reason(kind="upstream", name=upstream.id, text=text)


def _changes(
    state: BuildState, stage: Stage, record: Record, today: dict[str, Any], verdicts: dict[str, Verdict]
) -> Iterator[Reason]:
    paths = input_files(stage)
    changes = compare_parts(record.parts, today, paths)
    if any(c.kind == "code" for c in changes):
        yield from _code(record, state.judge.keys.code(stage))
    sources = {i.role: i.stage for i in stage.inputs}
    for change in changes:
        text = say(change)
        if change.kind == "code":
            continue
        if change.kind == "file":
            place = paths.get(f"{change.role} {change.name}")
            text += f" ({os.path.relpath(place)})" if place else ""
        if change.kind == "input" and change.name in sources:
            digests = f"{show(change.old)} -> {show(change.new)}"
            source = state.plan.stages[sources[change.name]]
            text = (
                f"input {change.name}: {_other(source.id, verdicts)}: {digests}{_machines(state, source, change.old)}"
            )
        yield Reason(kind=change.kind, name=change.name, text=text, old=change.old, new=change.new)


def _machines(state: BuildState, source: Stage, digest: Any) -> str:
    """Return on which machines `source` made the bytes with `digest` and those of now, if it did so with one key."""
    now = state.workspace.record(source)
    if now is None:
        return ""
    for entry in state.workspace.history(source).entries():
        if (entry.digest, entry.key) == (digest, now.key) and entry.digest != now.digest:
            return f", with the same key (then on {entry.made_on}, now on {now.made_on})"
    return ""


def _other(source: str, verdicts: dict[str, Verdict]) -> str:
    if verdicts[source].state == RESTORE:
        return f"{source} will be restored as another"
    return f"{source} is another"


def _code(record: Record, today: dict[str, dict[str, str]]) -> Iterator[Reason]:
    changes = compare_code(record.code, today)
    if not changes:
        yield Reason(kind="code", name="", text="code: a module is used once more, or once less")
    for change in changes:
        yield Reason(kind="code", name=change.file, text=say(change), functions=_functions(change))


def _functions(change: CodeChange) -> dict[str, tuple[str, ...]]:
    return {"changed": change.changed, "added": change.added, "removed": change.removed}


def input_files(stage: Stage) -> dict[str, str]:
    """Return the files and folders that the stage's parameters name, by the part of its key that is their digest."""
    return {
        f"{role} {name}": use.params[name]
        for role, use in stage.uses.items()
        for name, parameter in use.component.parameters.items()
        if parameter.is_input and use.params.get(name) is not None
    }


def _outputs(stage: Stage, findings: Findings) -> Iterator[Reason]:
    if findings.unreadable:
        yield Reason(kind="output", name=stage.place, text=findings.unreadable)
    for name, harm in findings.damage.items():
        old, new = (UNSET if one is None else one.digest for one in (harm.old, harm.new))
        yield Reason(kind="output", name=name, text=f"output {name} {_harm(harm)}", old=old, new=new)


def _harm(harm: Damage) -> str:
    if harm.new is None:
        return "was deleted"
    if harm.old is None:
        return "was added"
    if not harm.new.digest:
        return "cannot be read"
    if harm.new.digest != harm.old.digest:
        return f"was edited: {show(harm.old.digest)} -> {show(harm.new.digest)}"
    return f"is {'' if harm.new.executable else 'not '}executable"


def _discovered(record: Record, findings: Findings) -> Iterator[Reason]:
    for name, digest in findings.changed_reads.items():
        old = record.discovered[name]
        text = f"{name}, which the stage was seen to read: {show(old or None)} -> {show(digest or None)}"
        yield Reason(kind="discovered", name=name, text=text, old=old or UNSET, new=digest or UNSET)
