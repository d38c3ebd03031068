"""A hook that only observes is in no key: a line for the team's chat trains nothing again, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.front_door.builds import artifacts, build

if TYPE_CHECKING:
    from pathlib import Path

OBSERVER = """
import os

from modelyard import hookimpl


@hookimpl(observes=True)
def modelyard_before_stage_run(stage, context):
    with open(context.project / "told.txt", "a") as file:
        file.write(f"begin {stage}\\n")


@hookimpl(observes=True, kinds=("train", "evaluate"))
def modelyard_after_stage_run(stage, context):
    context.metrics["seen"] = True  # a copy
    with open(context.project / "told.txt", "a") as file:
        file.write(f"end {stage}\\n")


@hookimpl(kinds=("optimize",))
def modelyard_on_stage_error(stage, context, error):
    with open(context.project / "told.txt", "a") as file:
        file.write(f"failed {stage}\\n")
"""


def test_adding_editing_and_removing_an_observer_runs_nothing(toy: Path) -> None:
    before = artifacts(toy)
    plugin = toy / "plugins" / "tell.py"
    for text in (OBSERVER, OBSERVER.replace("begin", "start"), None):
        if text is None:
            plugin.unlink()
        else:
            plugin.write_text(text)
        assert set(build(toy).stages.values()) == {"fresh"}
    assert artifacts(toy) == before
    assert not (toy / "told.txt").exists()


def test_an_observer_is_told_of_the_stages_that_it_asks_for_and_changes_none(toy: Path) -> None:
    before = artifacts(toy)
    (toy / "plugins" / "tell.py").write_text(OBSERVER)

    done = build(toy, "-a", "train", "optimize:round", "select")

    assert done.code == 0, done.output
    told = (toy / "told.txt").read_text().splitlines()
    assert {line.partition(" ")[2] for line in told if line.startswith("begin")} == done.built
    ends = [line for line in told if line.startswith("end")]
    assert "end train:model.build" in ends
    assert {line.split()[1].partition(":")[0] for line in ends} == {"train", "evaluate"}
    assert artifacts(toy) == before
    assert '"seen"' not in (toy / "artifacts/train/model.build/stage.json").read_text()


def test_an_observer_of_errors_is_told_of_its_kinds(toy: Path) -> None:
    (toy / "plugins" / "tell.py").write_text(OBSERVER)
    plugin = toy / "plugins" / "toy.py"
    plugin.write_text(plugin.read_text().replace("    change(context, lambda", "    1 / 0\n    change(context, lambda"))
    model = toy / "model.py"
    right = model.read_text()
    model.write_text(right.replace("    return {", "    1 / 0\n    return {"))

    assert build(toy, "train").code != 0
    model.write_text(right)
    assert build(toy, "optimize:round").code != 0

    told = (toy / "told.txt").read_text().splitlines()
    assert [line for line in told if line.startswith("failed")] == ["failed optimize:round"]


@pytest.mark.parametrize(
    ("hook", "harm", "what"),
    [
        ("modelyard_after_stage_run", '(context.out / "model.toy").write_text("{}")', "model.toy"),
        ("modelyard_after_stage_run", '(context.out / "more.txt").write_text("")', "more.txt"),
        ("modelyard_after_stage_run", '(context.out / "model.toy").chmod(0o755)', "model.toy"),
        ("modelyard_before_stage_run", '(context.out / "more.txt").write_text("")', "more.txt"),
        ("modelyard_before_stage_run", 'os.environ["OMP_NUM_THREADS"] = "9"', "the environment variables"),
    ],
)
def test_an_observer_that_changes_something_fails_the_stage(hook: str, harm: str, what: str, toy: Path) -> None:
    plugin = toy / "plugins" / "tell.py"
    plugin.write_text(
        f"import os\n\nfrom modelyard import hookimpl\n\n\n@hookimpl(observes=True, kinds=('train',))\ndef {hook}(context):\n    {harm}\n"
    )

    done = build(toy, "-a", "train")

    assert done.code != 0
    assert f"plugin {plugin}: {hook} says that it only observes, but it changed {what}" in done.output


def test_a_hook_for_a_kind_runs_that_kind_again_alone(toy: Path) -> None:
    plugin = toy / "plugins" / "note.py"
    text = "from modelyard import hookimpl\n\n\n@hookimpl(kinds=('render',))\ndef modelyard_after_stage_run(context):\n    (context.out / 'more.txt').write_text('1')\n"
    for value in ("1", "2"):
        plugin.write_text(text.replace("'1'", repr(value)))
        assert build(toy).built == {"render:note"}
    assert (toy / "artifacts/render/note/more.txt").read_text() == "2"
