from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.plans import config

from modelyard.build.verdict import MAYBE, RESTORE, RUN, UP_TO_DATE, Verdict
from modelyard.explain.forecast import expected_s, roots
from modelyard.files.json import write_json
from modelyard.plan.planner import Plan
from modelyard.project.workspace import Workspace
from modelyard.stage import Input, Stage
from modelyard.store.record import RECORD, Record

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = Stage("train", "net")


def plan(**reads: str) -> Plan:
    """Return a plan of stages, each with the names of those that it reads."""
    stages = {
        name: Stage("train", name, inputs=tuple(Input(one, f"train:{one}") for one in read.split()))
        for name, read in reads.items()
    }
    return Plan(config({}), {stage.id: stage for stage in stages.values()})


def roots_of(made: Plan, name: str, **states: str) -> list[str]:
    verdicts = {one: Verdict(state=states.get(one.removeprefix("train:"), UP_TO_DATE)) for one in made.stages}
    return [one.removeprefix("train:") for one in roots(made, made.stages[f"train:{name}"], verdicts)]


DIAMOND = plan(data="", other="", left="data", right="data other", end="left right")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, []),
        ({"end": RUN}, []),
        ({"end": MAYBE, "left": RUN}, ["left"]),
        ({"end": MAYBE, "left": MAYBE, "right": MAYBE, "data": RUN}, ["data"]),
        ({"end": MAYBE, "left": MAYBE, "right": RUN, "data": RESTORE}, ["data"]),
        ({"end": RUN, "left": RUN, "right": MAYBE, "other": RUN}, ["other", "left"]),
        ({"end": RUN, "data": RESTORE}, []),
        ({"data": RESTORE, "left": MAYBE}, []),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, list | dict) else None,
)
def test_what_makes_a_stage_stale_begins_where_nothing_stale_is_read(
    states: dict[str, str], expected: list[str]
) -> None:
    assert roots_of(DIAMOND, "end", **states) == expected


def test_a_chain_may_be_longer_than_pythons_stack() -> None:
    chain = plan(s0="", **{f"s{number}": f"s{number - 1}" for number in range(1, 3000)})
    assert roots_of(chain, "s2999", **{f"s{number}": RUN for number in range(3000)}) == ["s0"]


def record(duration_s: float, key: str = "k") -> Record:
    return Record(stage=TRAIN.id, key=key, digest="d", outputs={}, duration_s=duration_s)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, tmp_path / ".modelyard")


def test_a_stage_that_never_ran_takes_nobody_knows_how_long(workspace: Workspace) -> None:
    assert expected_s(workspace, TRAIN) is None


def test_the_median_of_the_last_five_builds_is_expected(workspace: Workspace) -> None:
    history = workspace.history(TRAIN)
    for duration_s in (900.0, 1.0, 2.0, 3.0, 40.0, 5.0):
        history.add(record(duration_s), "built")
    assert expected_s(workspace, TRAIN) == 3.0
    for how in ("restored", "accepted"):
        history.add(record(0.0), how)
    assert expected_s(workspace, TRAIN) == 3.0


def test_without_a_history_the_artifact_says_how_long_it_took(workspace: Workspace) -> None:
    workspace.folder(TRAIN).mkdir(parents=True)
    write_json(workspace.folder(TRAIN) / RECORD, record(7.5))
    assert expected_s(workspace, TRAIN) == 7.5
    workspace.history(TRAIN).add(record(1.5), "built")
    assert expected_s(workspace, TRAIN) == 1.5
