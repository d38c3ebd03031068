"""Compare what a trivial stage costs with what it cost in another version of modelyard: CPU time of all processes.

    python benchmarks/stage_cost.py PYTHON [--stages 50] [--runs 9]

PYTHON is the interpreter of an environment that has the other version: a git worktree of its commit, installed there with
`pip install --no-deps -e .` beside the same requirements. Both build the same graph from nothing, in turns; each version's own
`graphs.py` writes it, since names that plugins import may have moved.
A stage's cost is the CPU time, user and system, of the build without that of one with nothing to do, over the number of
stages. The two of a turn ran at about the same load, so their ratio is taken first, and then the median of these.
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
from pathlib import Path

import graphs

from modelyard.execution import orphans

WRITE = """
import sys
from pathlib import Path
import modelyard
sys.path.insert(0, str(Path(modelyard.__file__).parents[2] / "benchmarks"))
import graphs
graphs.write_modelyard(Path(sys.argv[1]), int(sys.argv[2]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", metavar="PYTHON", help="the interpreter of the other version's environment")
    parser.add_argument("--stages", type=int, default=50, help="how many stages")
    parser.add_argument("--runs", type=int, default=9, help="how often each is built")
    options = parser.parse_args()
    orphans.adopt()  # what a build leaves to end by itself is waited for here, and so counts
    with tempfile.TemporaryDirectory(prefix="modelyard-cost-", dir=Path.cwd()) as folder:
        places = {sys.executable: Path(folder) / "this", options.other: Path(folder) / "other"}
        for python, place in places.items():
            subprocess.run([python, "-c", WRITE, place, str(options.stages)], check=True)
        costs: dict[str, list[float]] = {python: [] for python in places}
        for number in range(options.runs + 1):  # the first turn compiles and warms the caches
            for python, place in places.items():
                spent_ms = stage_cost_ms(python, place, options.stages)
                costs[python] += [spent_ms] if number else []
    report(costs[sys.executable], costs[options.other], options.stages)


def stage_cost_ms(python: str, project: Path, stages: int) -> float:
    """Build `project` from nothing, and return the CPU time that each of its stages cost, in milliseconds."""
    for made in ("artifacts", ".modelyard"):
        shutil.rmtree(project / made, ignore_errors=True)
    command = [python, "-m", "doit"]
    full_s, nothing_s = cpu_time(command, project), cpu_time(command, project)
    return (full_s - nothing_s) / stages * 1000


def cpu_time(command: list[str], folder: Path) -> float:
    """Return the CPU time of a command and of all processes below it in seconds, once all of them have ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    graphs.run_command(command, folder)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(this: list[float], other: list[float], stages: int) -> None:
    """Print the cost of a stage in both, and the ratio."""
    ratios = [one / two for one, two in zip(this, other, strict=True)]
    print(
        f"{stages} trivial stages: CPU time a stage beyond a build with nothing to do\n{'':6} {'least':>9} {'median':>10}"
    )
    for name, costs in (("this", this), ("other", other)):
        print(f"{name:6} {min(costs):6.1f} ms {statistics.median(costs):7.1f} ms")
    print(
        f"{'ratio':6} {min(this) / min(other):6.2f} x  {statistics.median(ratios):7.2f} x   of a turn: {min(ratios):.2f} to {max(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
