"""Stages side by side: the same results, a log of its own for each, and resources that limit what runs together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.front_door.builds import artifacts, build

LOGGED = '    write(context.out / "model.packed", json.loads(context.model.path.read_text()))\n'


def slow_optimizers(project: Path, seconds: float) -> None:
    """Let `pack` take its time and write to stdout and to the log, as a chatty framework does."""
    path = project / "plugins" / "toy.py"
    text = path.read_text()
    assert LOGGED in text
    chat = f'    import time\n\n    for _ in range(20):\n        print("packing", context.model.folder.name)\n        time.sleep({seconds / 20})\n'
    path.write_text(text.replace(LOGGED, chat + LOGGED))


@pytest.mark.parametrize("arguments", [("-n", "2"), ("-n", "4", "-P", "thread"), ("-n", "2", "-P", "process")])
def test_side_by_side_gives_the_same(new_toy: Path, built_toy: Path, arguments: tuple[str, ...]) -> None:
    done = build(new_toy, *arguments)

    assert done.code == 0, done.output
    assert len(done.built) == 13, done.output
    assert artifacts(new_toy) == artifacts(built_toy)
    assert set(build(new_toy, *arguments).stages.values()) == {"fresh"}


def test_each_stage_has_its_own_log(new_toy: Path) -> None:
    slow_optimizers(new_toy, 1)

    done = build(new_toy, "-n", "3")

    assert done.code == 0, done.output
    assert "packing" not in done.output
    for stage, parent in (("plain", "model.build"), ("rounded", "round"), ("coarse", "round-scale")):
        lines = (new_toy / ".modelyard" / "logs" / "optimize" / f"{stage}.log").read_text().splitlines()
        assert lines == [f"packing {parent}"] * 20


def test_a_resource_limits_what_runs_together(new_toy: Path) -> None:
    slow_optimizers(new_toy, 1.5)
    with (new_toy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.modelyard.resources]\noptimize = 1\n")

    done = build(new_toy, "-n", "3")

    assert done.code == 0, done.output
    records = sorted(p.stat().st_mtime_ns for p in new_toy.glob("artifacts/optimize/*/stage.json"))
    packed = [p for p in new_toy.glob("artifacts/optimize/*/stage.json") if (p.parent / "model.packed").exists()]
    ends = sorted(p.stat().st_mtime_ns for p in packed)
    assert len(records) == 5
    assert all(later - earlier > 1.4e9 for earlier, later in pairwise(ends)), "one after the other"


def test_without_the_limit_they_overlap(new_toy: Path) -> None:
    slow_optimizers(new_toy, 3)

    assert build(new_toy, "-n", "4").code == 0

    ends = sorted(
        p.parent.joinpath("stage.json").stat().st_mtime_ns for p in new_toy.glob("artifacts/optimize/*/model.packed")
    )
    assert ends[-1] - ends[0] < 3e9 * 1.9, "side by side"


def test_an_unknown_resource(new_toy: Path) -> None:
    with (new_toy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.modelyard.resources]\noptimise = 1\n")

    failed = build(new_toy)

    assert failed.code != 0
    assert "unknown resource 'optimise', did you mean 'optimize'?" in failed.output, failed.output


def test_a_failure_leaves_the_others_their_results(new_toy: Path) -> None:
    path = new_toy / "plugins" / "toy.py"
    path.write_text(path.read_text().replace("value * factor", "value / 0"))

    failed = build(new_toy, "-c", "-n", "2")

    assert failed.code != 0
    assert "optimize:round-scale failed" in failed.output
    assert "ZeroDivisionError" in failed.output
    assert {"evaluate:plain", "evaluate:rounded"} <= failed.built, failed.output
