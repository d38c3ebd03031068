"""Compare what trivial stages cost with what they cost in another version of modelyard.

    python benchmarks/stage_cost.py PYTHON [--stages 100] [--runs 9] [--place FOLDER]

PYTHON is the interpreter of an environment that has the other version, installed as this one is: from a git worktree of its
commit, `pip install --no-deps .` or `-e .` beside the same requirements. Both build the same graph from nothing, in turns; each
version's own `graphs.py` writes it, since names that plugins import may have moved.

Told are the CPU time, user and system, of all processes of a build, its wall time, and the CPU time of a stage: that of the build
without that of one with nothing to do, over the number of stages. The two of a turn ran at about the same load, so their ratio is
taken first, and then the median of these.

Each build has a folder of its own, and nothing is removed before the end: ext4 looks for an inode that was not freed within the
last seconds one by one, so that a build would pay for what was removed before it. `--place /dev/shm` leaves the disk out.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import graphs

from modelyard.execution import orphans

WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import graphs
graphs.write_modelyard(Path(sys.argv[2]), int(sys.argv[3]))
"""


class Cost(NamedTuple):
    """What a build of all stages took: CPU time of all processes and wall time in seconds; and CPU time a stage in milliseconds."""

    cpu_s: float
    wall_s: float
    stage_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", metavar="PYTHON", help="the interpreter of the other version's environment")
    parser.add_argument("--source", type=Path, help="the other version's worktree, if it is not installed with -e")
    parser.add_argument("--stages", type=int, default=100, help="how many stages")
    parser.add_argument("--runs", type=int, default=9, help="how often each is built")
    parser.add_argument("--place", type=Path, default=Path.cwd(), help="where the projects are written")
    options = parser.parse_args()
    orphans.adopt()  # what a build leaves to end by itself is waited for here, and so counts
    with tempfile.TemporaryDirectory(prefix="modelyard-cost-", dir=options.place) as folder:
        os.environ["TMPDIR"] = folder
        pythons = {"this": sys.executable, "other": options.other}
        sources = {"this": Path(__file__).parents[1], "other": options.source or _checkout(options.other)}
        for name, python in pythons.items():
            command = [python, "-c", WRITE, sources[name] / "benchmarks", Path(folder, name), str(options.stages)]
            subprocess.run(command, check=True)
        costs: dict[str, list[Cost]] = {name: [] for name in pythons}
        for turn in range(options.runs + 1):  # the first one compiles and warms the caches
            for name in sorted(pythons, reverse=bool(turn % 2)):
                project = shutil.copytree(Path(folder, name), Path(folder, f"{name}-{turn}"))
                cost = build_cost(pythons[name], project, options.stages)
                costs[name] += [cost] if turn else []
    report(costs["this"], costs["other"], options.stages)


def _checkout(python: str) -> Path:
    """Return the worktree that the package in the environment of `python` is in."""
    asked = [python, "-c", "import modelyard; print(modelyard.__file__)"]
    return Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()).parents[2]


def build_cost(python: str, project: Path, stages: int) -> Cost:
    """Build `project` from nothing, and return what that cost."""
    command = [python, "-m", "doit"]
    began = time.perf_counter()
    full_s = cpu_time(command, project)
    wall_s = time.perf_counter() - began
    return Cost(full_s, wall_s, (full_s - cpu_time(command, project)) / stages * 1000)


def cpu_time(command: list[str], folder: Path) -> float:
    """Return the CPU time of a command and of all processes below it in seconds, once all of them have ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    graphs.run_command(command, folder)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(this: list[Cost], other: list[Cost], stages: int) -> None:
    """Print the medians of both, and of the ratios of the turns."""
    print(f"{stages} trivial stages from nothing, medians of {len(this)} turns")
    print(f"{'':24} {'this':>8} {'other':>8} {'ratio':>8}   of a turn")
    for name, title, unit in (
        ("cpu_s", "CPU of the build", "s"),
        ("wall_s", "wall", "s"),
        ("stage_ms", "CPU a stage", "ms"),
    ):
        mine, theirs = ([getattr(cost, name) for cost in costs] for costs in (this, other))
        ratios = [one / two for one, two in zip(mine, theirs, strict=True)]
        middle = (statistics.median(values) for values in (mine, theirs, ratios))
        shown = "{:8.3f} {:8.3f} {:6.3f} x".format(*middle)
        print(f"{f'{title}, {unit}':24} {shown}   {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
