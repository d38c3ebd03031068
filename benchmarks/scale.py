"""Time a build with nothing to do at several sizes: modelyard, bare doit, make, snakemake, `dvc repro`.

    python benchmarks/scale.py [--sizes 10 100 1000] [--runs 7] [--dvc PATH] [--snakemake PATH] [--limit 120]

Each tool has the same graph of stages, with the same files (`graphs.py`). They take turns, so that whatever else the
machine does falls on all of them; the figure is CPU time, user and system, of the command and its children: the
median of all runs. A tool that took longer than the limit once is left out from there on.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import graphs

Command = tuple[list[str], Path]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000], help="how many stages")
    parser.add_argument("--runs", type=int, default=7, help="how often each is run")
    parser.add_argument("--dvc", help="the dvc command (default: leave it out)")
    parser.add_argument("--snakemake", help="the snakemake command (default: leave it out)")
    parser.add_argument("--limit", type=float, default=120, help="leave out a tool that takes longer, in seconds")
    parser.add_argument("--keep", type=Path, help="build the projects here, and use those that are here already")
    options = parser.parse_args()
    slow: set[str] = set()
    per_stage: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="modelyard-scale-") as folder:
        doit = graphs.bare_doit(Path(folder))
        for size in options.sizes:
            place = (options.keep or Path(folder)) / str(size)
            tools = {n: t for n, t in graphs.tools(doit, options.dvc, options.snakemake).items() if n not in slow}
            found = prepare(place, size, tools, options.limit, slow)
            times = measure(found, options.runs, options.limit, slow)
            report(size, times)
            per_stage[size] = times["modelyard"]
    report_growth(per_stage)


def prepare(
    place: Path, size: int, tools: Mapping[str, graphs.Tool], limit_s: float, slow: set[str]
) -> dict[str, Command]:
    """Build every tool's project of `size` stages, and return what is to be timed."""
    doit = [sys.executable, "-m", "doit"]
    project = place / "modelyard"
    if not project.exists():
        graphs.write_modelyard(project, size)
        graphs.build_modelyard(project)
    nodes = graphs.in_order(graphs.graph_of(project))
    assert len(nodes) == size, (len(nodes), size)
    found: dict[str, Command] = {
        "python -c pass": ([sys.executable, "-c", "pass"], project),
        "modelyard": (doit, project),
    }
    for name, tool in tools.items():
        folder = place / name.replace(" ", "-")
        try:
            if not folder.exists():
                folder.mkdir()
                graphs.copy_files(nodes, project, folder)
                tool.write(folder, nodes)
                graphs.run_command(tool.adopt, folder, limit_s)
            found[name] = (tool.command, folder)
        except subprocess.TimeoutExpired:
            print(f"{name}: left out from {size} stages on: recording what is there took more than {limit_s:.0f} s")
            slow.add(name)
    return found


def measure(commands: Mapping[str, Command], runs: int, limit_s: float, slow: set[str]) -> dict[str, float]:
    """Return the median CPU time of each command in seconds; the first round warms the caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, (command, folder) in commands.items():
            if name in slow:
                continue
            begin = time.monotonic()
            spent = graphs.cpu_time(command, folder)
            if number:
                times[name].append(spent)
            if time.monotonic() - begin > limit_s / 4:
                print(f"{name}: one run took {time.monotonic() - begin:.0f} s; it is run no more")
                slow.add(name)
                times[name].append(spent)
    return {name: statistics.median(values) for name, values in times.items() if values}


def report(size: int, times: Mapping[str, float]) -> None:
    """Print the times and what each is of bare doit's."""
    print(f"\n{size} stages, nothing to do")
    for name, seconds in times.items():
        print(
            f"{name:16} {seconds * 1000:9.1f} ms CPU   {seconds / times['bare doit']:6.2f} x bare doit"
            f"   {seconds / times['modelyard']:6.2f} x modelyard"
        )


def report_growth(times: Mapping[int, float]) -> None:
    """Print what each further stage costs from one size to the next."""
    sizes = sorted(times)
    for small, large in itertools.pairwise(sizes):
        cost_us = (times[large] - times[small]) / (large - small) * 1e6
        print(f"modelyard, a further stage between {small} and {large}: {cost_us:.0f} us CPU")


if __name__ == "__main__":
    main()
