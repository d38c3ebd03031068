"""Earlier results of stages, and how a person names one: `train@1`, the beginning of a key, or `now`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from modelyard.errors import PlanError, did_you_mean, listing
from modelyard.explain.differences import (
    Change,
    CodeChange,
    compare_code,
    compare_machines,
    compare_outputs,
    compare_parts,
    compare_values,
)
from modelyard.explain.reasons import input_files
from modelyard.project.history import Entry, entry_of
from modelyard.store.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelyard.build.state import BuildState
    from modelyard.stage import Stage

SHORT = 12
"""Digits of a key that are shown; any number of them that is enough names a result."""
LEAST = 4
"""How many digits name a result at least."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One result of a stage.

    Attributes:
        stage: the stage.
        name: how it can be named: `train:digits-cnn@1`, or `train:digits-cnn now`.
        entry: what the history says of it.
        record: its full record, with code and files; None if neither the store nor the artifact has it any more.
    """

    stage: Stage
    name: str
    entry: Entry
    record: Record | None = None


def entries(state: BuildState, stage: Stage) -> list[Entry]:
    """Return the results of `stage`, the latest first: what the history holds, and the artifact if it does not."""
    found = state.workspace.history(stage).entries()[::-1]
    record = state.workspace.record(stage)
    if record is not None and (not found or found[0].key != record.key):
        found.insert(0, entry_of(record, "built", record.started))
    return found


def record_of(state: BuildState, stage: Stage, key: str) -> Record | None:
    """Return the full record of a key of `stage`, from the artifact or the store; None if neither has it."""
    present = state.workspace.record(stage)
    return present if present is not None and present.key == key else state.store.trace(key)


def pair(state: BuildState, one: str, other: str) -> tuple[Result, Result]:
    """Return the two results that `one` and `other` name; `now` means today's state of the other's stage.

    Raises:
        PlanError: a name stands for no result, or for several, or both are `now`.
    """
    if one == other == "now":
        msg = "diff: two times 'now'\n  name an earlier result, for instance `doit diff train@1 now`"
        raise PlanError(msg)
    if one == "now":
        second = find(state, other)
        return today(state, second.stage), second
    first = find(state, one)
    return first, today(state, first.stage) if other == "now" else find(state, other)


def find(state: BuildState, name: str, command: str = "diff") -> Result:
    """Return the result that `name` stands for: `STAGE`, `STAGE@N`, or the beginning of a key; `command` asks for it.

    Raises:
        PlanError: there is none, or several.
    """
    stage_name, at, number = name.partition("@")
    stages = [s for s in state.plan.stages.values() if stage_name in (s.id, s.kind)]
    if stages:
        return _numbered(state, name, stages, number if at else "0", command)
    found = {} if len(name) < LEAST else _by_key(state, name)
    if len(found) != 1:
        what = f"{len(found)} results: {', '.join(found)}" if found else "no result"
        known = {*state.plan.stages, *(s.kind for s in state.plan.stages.values())}
        near = "" if found else did_you_mean(stage_name, known)
        msg = (
            f"{command}: {name!r} names {what}{near}\n"
            f"  write STAGE@N, or {LEAST} or more digits of a key; `doit history STAGE` shows both"
        )
        raise PlanError(msg)
    return next(iter(found.values()))


def _numbered(state: BuildState, name: str, stages: Sequence[Stage], number: str, command: str) -> Result:
    if len(stages) > 1:
        msg = f"{command}: {name!r} names {len(stages)} stages\n  choose one: {listing(s.id for s in stages)}"
        raise PlanError(msg)
    known = entries(state, stages[0])
    if not number.isdecimal() or int(number) >= len(known):
        one = stages[0].id
        msg = f"{command}: {one} has {len(known)} results, and no {number!r}\n  `doit history {one}` lists them"
        raise PlanError(msg)
    return _result(state, stages[0], int(number), known[int(number)])


def _by_key(state: BuildState, prefix: str) -> dict[str, Result]:
    """Return the latest result of each key that begins with `prefix`, by the key's first digits."""
    found: dict[str, Result] = {}
    for stage in state.plan.stages.values():
        for number, entry in enumerate(entries(state, stage)):
            if entry.key.startswith(prefix) and entry.key[:SHORT] not in found:
                found[entry.key[:SHORT]] = _result(state, stage, number, entry)
    return found


def _result(state: BuildState, stage: Stage, number: int, entry: Entry) -> Result:
    record = record_of(state, stage, entry.key)
    if record is not None and record.digest != entry.digest:
        record = None  # the stage made other bytes since, with the same key
    return Result(stage=stage, name=f"{stage.id}@{number}", entry=entry, record=record)


def today(state: BuildState, stage: Stage) -> Result:
    """Return what today's configuration and code make of `stage`: with metrics and files if that is there already."""
    fingerprint, name = state.judge.fingerprint(stage), f"{stage.id} now"
    record = record_of(state, stage, fingerprint.key)
    if record is not None:
        return Result(stage=stage, name=name, entry=entry_of(record, "built", record.started), record=record)
    entry = Entry(how="", when="", key=fingerprint.key, digest="", parts=fingerprint.parts)
    code = Record(stage=stage.id, key=entry.key, digest="", outputs={}, code=state.judge.keys.code(stage))
    return Result(stage=stage, name=name, entry=entry, record=code)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two results.

    Attributes:
        parts: parameters, settings, versions, inputs ... ; code is in `code`.
        code: files whose code differs; None if the record of one is gone.
        metrics: metrics that differ; None if one has not been built.
        outputs: files that differ; None if one has not been built, or its record is gone.
        made_on: the machines that made them, if they differ; None if not, or if one is not known.
    """

    parts: list[Change]
    code: list[CodeChange] | None
    metrics: list[Change] | None
    outputs: list[Change] | None
    made_on: Change | None = None


def compare(one: Result, other: Result) -> Difference:
    """Return what differs between two results."""
    files = {*input_files(one.stage), *input_files(other.stage)}
    changes = compare_parts(one.entry.parts, other.entry.parts, files)
    both = [r for r in (one.record, other.record) if r is not None]
    built = bool(one.entry.digest and other.entry.digest)
    return Difference(
        parts=[change for change in changes if change.kind != "code"],
        code=compare_code(both[0].code, both[1].code) if len(both) == 2 else None,
        metrics=compare_values(one.entry.metrics, other.entry.metrics) if built else None,
        outputs=compare_outputs(both[0].outputs, both[1].outputs) if built and len(both) == 2 else None,
        made_on=compare_machines(one.entry.made_on, other.entry.made_on),
    )


def steps(known: Iterable[Entry], files: Iterable[str]) -> list[list[Change]]:
    """Return, for each result (the latest first), what differs from the one before it, code told by role only."""
    listed, names = list(known), set(files)
    changes = [compare_parts(old.parts, new.parts, names) for new, old in pairwise(listed)]
    return [*changes, []] if listed else []
