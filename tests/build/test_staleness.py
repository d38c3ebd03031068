"""What is found out about stages: each is judged once a build, and again when something may have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelyard.build import staleness as freshness
from modelyard.build.engine import Engine
from modelyard.build.staleness import Freshness
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Seen
from modelyard.project.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Doit


@pytest.fixture
def engine(toy_project: Path, doit: Doit) -> Iterator[Engine]:
    """Return an engine for the toy project, which is built."""
    doit(toy_project)
    engine = Engine(load(toy_project))
    yield engine
    engine.close()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages whose artifacts were looked at, in order."""
    names: list[str] = []
    plain = Freshness._holds
    monkeypatch.setattr(Freshness, "_holds", lambda self, stage: (names.append(stage.id), plain(self, stage))[1])
    return names


def test_a_stage_that_ran_is_judged_again_with_those_behind_it_and_no_other(engine: Engine, judged: list[str]) -> None:
    stages = engine.plan.stages
    assert all(engine.is_fresh(stage) for stage in stages.values())
    assert sorted(judged) == sorted(stages)
    judged.clear()
    engine.bring_up_to_date(stages["optimize:rounded"])
    assert all(engine.is_fresh(stage) for stage in stages.values())
    behind = ["evaluate:rounded", "image:toy", "optimize:rounded", "render:note", "select:toy"]
    assert sorted(judged) == behind


def test_an_artifact_that_is_edited_while_the_build_goes_on_makes_what_reads_it_stale(
    engine: Engine, judged: list[str]
) -> None:
    train = engine.plan.of_kind("train")[0]
    rounded = engine.plan.stages["optimize:rounded"]
    assert engine.is_fresh(rounded)
    next(engine.folder(train).glob("model.toy")).write_text("{}")
    engine.freshness.renew(train)
    assert not engine.is_fresh(rounded)


def test_code_that_changes_between_two_stages_is_seen(engine: Engine, toy_project: Path) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    before = engine.fingerprint(rounded).key
    plugin = toy_project / "plugins" / "toy.py"
    plugin.write_text(plugin.read_text().replace("round(value, decimals)", "round(value, decimals + 1)"))
    assert engine.fingerprint(rounded).key == before
    engine.freshness.renew(rounded)
    assert engine.fingerprint(rounded).key != before


@pytest.mark.parametrize("harm", ["edited", "removed"])
def test_a_stage_does_not_begin_on_an_artifact_that_is_not_what_it_was(engine: Engine, harm: str) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    earlier = next(one for one in engine.plan.upstream(rounded) if one.kind == "optimize")
    model = next(engine.folder(earlier).glob("model.toy"))
    if harm == "edited":
        model.chmod(0o644)
        model.write_text(model.read_text() + " ")
    else:
        model.unlink()
    with pytest.raises(
        StageFailed, match=f"the artifact of {earlier.id} changed before the stage ran\n  run `doit` again"
    ):
        engine.freshness.sight(rounded)


@pytest.mark.parametrize("which", ["note.txt.j2", "near/note.txt.j2"])
def test_each_of_two_templates_of_one_name_is_looked_at_after_a_stage_ran(
    engine: Engine, toy_project: Path, which: str
) -> None:
    templates, render = toy_project / "templates", engine.plan.stages["render:note"]
    (templates / "near").mkdir()
    (templates / "near" / "note.txt.j2").write_text("near")
    with (templates / "note.txt.j2").open("a") as file:
        file.write('{% include "near/note.txt.j2" %}')
    sighting = engine.freshness.sight(render)
    assert engine.freshness.check_unmoved(render, sighting, Seen()) == []
    with (templates / which).open("a") as file:
        file.write("more")
    with pytest.raises(StageFailed, match=r"render:note: changed while the stage ran: template note\.txt\.j2\n"):
        engine.freshness.check_unmoved(render, sighting, Seen())


def test_a_file_that_moves_while_the_key_is_made_has_the_key_made_again(
    engine: Engine, toy_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    plugin, plain, before = toy_project / "plugins" / "toy.py", freshness.settle, engine.fingerprint(rounded).key

    def edit_once(marks: Any) -> bool:
        monkeypatch.setattr(freshness, "settle", plain)
        plugin.write_text(plugin.read_text().replace("round(value, decimals)", "round(value, decimals + 1)"))
        return False

    monkeypatch.setattr(freshness, "settle", edit_once)
    sighting = engine.freshness.sight(rounded)
    assert sighting.fingerprint.key != before
    engine.freshness.renew(rounded)
    assert sighting.fingerprint.key == engine.fingerprint(rounded).key
