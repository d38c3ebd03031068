"""Stages side by side: the same results, a log of its own for each, and resources that limit what runs together."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from modelyard.files.locks import take
from tests.front_door.builds import artifacts, build
from tests.front_door.test_faults import start
from tests.shared import usual

LOGGED = '    write(context.out / "model.packed", json.loads(context.model.path.read_text()))\n'


def slow_optimizers(project: Path, seconds: float) -> None:
    """Let `pack` take its time and write to stdout and to the log, as a chatty framework does."""
    path = project / "plugins" / "toy.py"
    text = path.read_text()
    assert LOGGED in text
    chat = f'    import time\n\n    for _ in range(20):\n        print("packing", context.model.folder.name)\n        time.sleep({seconds / 20})\n'
    path.write_text(text.replace(LOGGED, chat + LOGGED))


STARTED = """
import multiprocessing, sys
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv.pop(1))
    from doit.__main__ import main
    sys.exit(main())
"""
"""doit where Python's processes start in another way; from 3.14 on, `forkserver` is the default."""


@pytest.mark.parametrize("method", usual(["spawn", "forkserver", "fork"], 1))
def test_it_does_not_matter_how_processes_start(new_toy: Path, built_toy: Path, tmp_path: Path, method: str) -> None:
    script = tmp_path / "started.py"
    script.write_text(STARTED)
    variables = {**os.environ, "PYTHONPATH": str(new_toy)}  # as `python -m doit` has it
    for arguments in (["-n", "2", "-P", "process"], ["-n", "2"], []):
        command = [sys.executable, str(script), method, *arguments]
        done = subprocess.run(command, cwd=new_toy, env=variables, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr

    assert artifacts(new_toy) == artifacts(built_toy)


@pytest.mark.parametrize(
    "arguments", usual([("-n", "2"), ("-n", "4", "-P", "thread"), ("-n", "2", "-P", "process")], 1)
)
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


def test_a_resource_counts_for_all_builds_of_a_project(new_toy: Path) -> None:
    with (new_toy / "pyproject.toml").open("a") as file:
        file.write("\n[tool.modelyard.resources]\ndataset = 1\n")
    with take(new_toy / ".modelyard" / "locks", "dataset", 1, print, wait=True):
        refused = build(new_toy, "--no-wait", "dataset")
        waiting = start(new_toy, "dataset")
        output = []
        for line in waiting.stdout or ():
            output.append(line)
            if line.startswith("waiting"):
                break

    rest = waiting.communicate(timeout=60)[0]
    assert f"the resource dataset is held by process {os.getpid()} on " in refused.output, refused.output
    assert refused.code == 1
    assert f"waiting for the resource dataset, which is held by process {os.getpid()} on " in "".join(output)
    assert waiting.returncode == 0, rest


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
