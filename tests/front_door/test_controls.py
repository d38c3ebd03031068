"""A variant that was trained on is compared with a baseline that was trained as long; in the toy project."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.front_door.builds import build

PLUGIN = '''
import json

from modelyard import hookimpl


def shift(context, by):
    model = json.loads(context.model.path.read_text())
    model["centers"] = [[x + by, y + by] for x, y in model["centers"]]
    (context.out / "model.toy").write_text(json.dumps(model, sort_keys=True))


def tune(context, *, epochs: int = 1):
    """Train further."""
    shift(context, 0.001 * epochs)
    context.warn(f"trained for {epochs} more")


def late(context, *, epochs: int = 1):
    """Train what is packed."""
    (context.out / "model.packed").write_bytes(context.model.path.read_bytes())


def thin(context, *, epochs: int = 1, ruin: float = 0.0):
    """Drop weights while training further."""
    shift(context, 0.001 * epochs + ruin)


@hookimpl
def modelyard_register_optimizers(register):
    register("tune", tune, accepts=("toy",), produces="toy", trains_like="tune")
    register("thin", thin, accepts=("toy",), produces="toy", trains_like="tune")
    register("late", late, accepts=("packed",), produces="packed", trains_like="late")
'''
MATRIX = """
[tool.modelyard.matrix.thin]
epochs = [1, 2]
decimals = [1, 2]
chain = [{ use = "thin", epochs = "{epochs}" }, { use = "round", decimals = "{decimals}" }, "pack"]
"""


@pytest.fixture
def project(new_toy: Path) -> Path:
    (new_toy / "plugins" / "training.py").write_text(PLUGIN)
    pyproject = new_toy / "pyproject.toml"
    text = pyproject.read_text().replace("min_accuracy = 0.5", "max_accuracy_drop = 0.5")
    pyproject.write_text(text + MATRIX)
    return new_toy


def test_each_length_of_training_has_one_baseline_that_is_shown_and_does_not_ship(project: Path) -> None:
    done = build(project)
    assert done.code == 0, done.output
    tuned = {stage for stage in done.built if "tune" in stage}
    assert tuned == {
        "optimize:tune-epochs-1",
        "optimize:tune-epochs-2",
        "optimize:plain-tune-epochs-1",
        "optimize:plain-tune-epochs-2",
        "evaluate:plain-tune-epochs-1",
        "evaluate:plain-tune-epochs-2",
    }
    selection = json.loads((project / "artifacts/select/toy/selection.json").read_text())
    rows = {row["variant"]: row for row in selection["table"]}
    assert {n: row["compared_with"] for n, row in rows.items() if n.startswith("thin")} == {
        f"thin-{epochs}-{decimals}": f"plain-tune-epochs-{epochs}" for epochs in (1, 2) for decimals in (1, 2)
    }
    assert [n for n, row in rows.items() if row["control"]] == ["plain-tune-epochs-1", "plain-tune-epochs-2"]
    assert not rows[selection["chosen"]]["control"]
    assert rows["plain-tune-epochs-2"]["warnings"] == ["trained for 2 more"]
    text = (project / "artifacts/select/toy/table.md").read_text()
    assert "- plain-tune-epochs-2: warning: trained for 2 more\n" in text
    assert "- thin-1-1, thin-1-2: accuracy compared with plain-tune-epochs-1, which was trained as long\n" in text
    assert set(build(project).stages.values()) == {"fresh"}


def test_it_ships_if_it_is_asked_for_and_is_gone_without_the_bound(project: Path) -> None:
    asked = build(project, "select.rule=plain-tune-epochs-2", "select")
    assert asked.code == 0, asked.output
    model = json.loads((project / "artifacts/select/toy/model/model.json").read_text())
    assert model["variant"] == "plain-tune-epochs-2"
    assert model["warnings"] == []
    listed = build(project, "list", "--all", "-q", "gates.equal_training=false").output
    assert "thin-1-1" in listed
    assert "tune" not in listed


def test_a_gain_of_training_does_not_hide_what_an_optimizer_costs(project: Path) -> None:
    """Training mends a baseline that was trained badly; a gate that passes against that one fails against one that was mended, too."""
    plugin = project / "plugins" / "training.py"
    mended = 'model["centers"] = [[0, 0], [1, 0], [0, 1]] if by < 1 else [[x, x] for x, _ in model["centers"]]'
    plugin.write_text(re.sub(r"model\[.centers.\] = .*", mended, plugin.read_text()))
    trainer = project / "plugins" / "toy.py"
    trainer.write_text(trainer.read_text().replace(".mean(axis=0).tolist()", ".mean(axis=0)[::-1].tolist()"))
    ruined = 'variants.ruined=[{use="thin", ruin=3.0}, "pack"]'

    def misses(*more: str) -> list[str]:
        done = build(project, ruined, "gates.max_accuracy_drop=0.1", *more, "select")
        assert done.code == 0, done.output
        selection = json.loads((project / "artifacts/select/toy/selection.json").read_text())
        (row,) = [row for row in selection["table"] if row["variant"] == "ruined"]
        return [text.partition(":")[0] for text in row["misses"]]

    assert misses("gates.equal_training=false") == []
    assert misses() == ["max_accuracy_drop"]


def test_what_no_baseline_can_be_trained_like_is_said_wherever_it_is_compared(project: Path) -> None:
    late = 'variants.late=["pack", "late"]'
    done = build(project, late, "select")
    assert done.code == 0, done.output
    why = "in late, pack, the trainer gives toy, but late takes packed"
    folder = project / "artifacts/select/toy"
    rows = {row["variant"]: row for row in json.loads((folder / "selection.json").read_text())["table"]}
    assert (rows["late"]["compared_with"], rows["late"]["trained_unlike"]) == ("plain", why)
    assert {name for name, row in rows.items() if row["trained_unlike"]} == {"late"}
    assert (
        f"- late: accuracy compared with plain, which was not trained as long: {why}\n"
        in (folder / "table.md").read_text()
    )
    assert build(project, late, "report").code == 0
    report = json.loads((project / "artifacts/report/toy/report.json").read_text())
    assert {one["name"]: one["trained_unlike"] for one in report["variants"] if one["trained_unlike"]} == {"late": why}
    assert why in (project / "artifacts/report/toy/report.md").read_text()
