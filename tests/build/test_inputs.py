"""What a stage reads is looked at before it runs and after, and what moved meanwhile is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelyard.build import inputs
from modelyard.build.inputs import InputGuard
from modelyard.errors import StageFailed
from modelyard.execution.protocol import Seen
from modelyard.keys.sightings import settle

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.build.engine import Engine


@pytest.fixture
def guard(engine: Engine) -> InputGuard:
    """Return the guard of the toy project's inputs."""
    return InputGuard(engine.plan, engine.workspace, engine.judge, engine.table)


@pytest.mark.parametrize("harm", ["edited", "removed"])
def test_a_stage_does_not_begin_on_an_artifact_that_is_not_what_it_was(
    engine: Engine, guard: InputGuard, harm: str
) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    earlier = next(one for one in engine.plan.upstream(rounded) if one.kind == "optimize")
    model = next(engine.workspace.folder(earlier).glob("model.toy"))
    if harm == "edited":
        model.chmod(0o644)
        model.write_text(model.read_text() + " ")
    else:
        model.unlink()
    with pytest.raises(
        StageFailed, match=f"the artifact of {earlier.id} changed before the stage ran\n  run `doit` again"
    ):
        guard.sight(rounded)


@pytest.mark.parametrize("which", ["note.txt.j2", "near/note.txt.j2"])
def test_each_of_two_templates_of_one_name_is_looked_at_after_a_stage_ran(
    engine: Engine, guard: InputGuard, toy_project: Path, which: str
) -> None:
    templates, render = toy_project / "templates", engine.plan.stages["render:note"]
    (templates / "near").mkdir()
    (templates / "near" / "note.txt.j2").write_text("near")
    with (templates / "note.txt.j2").open("a") as file:
        file.write('{% include "near/note.txt.j2" %}')
    sighting = guard.sight(render)
    assert guard.check_unmoved(render, sighting, Seen()) == []
    with (templates / which).open("a") as file:
        file.write("more")
    with pytest.raises(StageFailed, match=r"render:note: changed while the stage ran: template note\.txt\.j2\n"):
        guard.check_unmoved(render, sighting, Seen())


def test_a_file_that_moves_while_the_key_is_made_has_the_key_made_again(
    engine: Engine, guard: InputGuard, toy_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounded = engine.plan.stages["optimize:rounded"]
    plugin, plain, before = toy_project / "plugins" / "toy.py", settle, engine.judge.fingerprint(rounded).key

    def edit_once(marks: Any) -> bool:
        monkeypatch.setattr(inputs, "settle", plain)
        plugin.write_text(plugin.read_text().replace("round(value, decimals)", "round(value, decimals + 1)"))
        return False

    monkeypatch.setattr(inputs, "settle", edit_once)
    sighting = guard.sight(rounded)
    assert sighting.fingerprint.key != before
    engine.judge.invalidate(rounded)
    assert sighting.fingerprint.key == engine.judge.fingerprint(rounded).key
