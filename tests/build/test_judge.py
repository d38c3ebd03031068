"""What is found out about stages: each is judged once a build, and again when something may have changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from modelyard.build.engine import Engine
from modelyard.build.judge import Judge

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages whose artifacts were looked at, in order."""
    names: list[str] = []
    plain = Judge._is_current
    monkeypatch.setattr(Judge, "_is_current", lambda self, stage: (names.append(stage.id), plain(self, stage))[1])
    return names


def test_a_stage_that_ran_is_judged_again_with_those_behind_it_and_no_other(engine: Engine, judged: list[str]) -> None:
    stages = engine.plan.stages
    assert all(engine.judge.needs_nothing(stage) for stage in stages.values())
    assert sorted(judged) == sorted(stages)
    judged.clear()
    engine.bring_up_to_date(stages["optimize:rounded"])
    assert all(engine.judge.needs_nothing(stage) for stage in stages.values())
    behind = ["evaluate:rounded", "image:toy", "optimize:rounded", "render:note", "select:toy"]
    assert sorted(judged) == behind


def test_an_artifact_that_is_edited_while_the_build_goes_on_makes_what_reads_it_stale(
    engine: Engine, judged: list[str]
) -> None:
    train = engine.plan.of_kind("train")[0]
    rounded = engine.plan.stages["optimize:rounded"]
    assert engine.judge.needs_nothing(rounded)
    next(engine.workspace.folder(train).glob("model.toy")).write_text("{}")
    engine.judge.invalidate(train)
    assert not engine.judge.needs_nothing(rounded)


def test_code_that_changes_between_two_stages_is_seen(engine: Engine, toy_project: Path) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    before = engine.judge.fingerprint(rounded).key
    plugin = toy_project / "plugins" / "toy.py"
    plugin.write_text(plugin.read_text().replace("round(value, decimals)", "round(value, decimals + 1)"))
    assert engine.judge.fingerprint(rounded).key == before
    engine.judge.invalidate(rounded)
    assert engine.judge.fingerprint(rounded).key != before


def test_what_is_to_come_back_as_it_was_makes_nothing_behind_it_stale(engine: Engine) -> None:
    train, rounded = engine.plan.of_kind("train")[0], engine.plan.stages["optimize:rounded"]
    shutil.rmtree(engine.workspace.folder(train))
    engine.judge.invalidate_artifacts()
    assert not engine.judge.needs_nothing(rounded)
    assert engine.judge.is_up_to_date(rounded)
    assert not engine.judge.is_up_to_date(train)


def test_an_edit_is_no_longer_asked_for_than_it_is_there(engine: Engine, judged: list[str]) -> None:
    """Each stage is judged once, whatever is asked of it, until it is looked at again."""
    stages = engine.plan.stages.values()
    for _ in range(2):
        assert all(engine.judge.is_up_to_date(stage) for stage in stages)
    assert sorted(judged) == sorted(stage.id for stage in stages)
