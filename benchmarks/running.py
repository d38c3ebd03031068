"""Time a build of trivial stages: what each costs beyond its own work, for modelyard, bare doit, make, `dvc repro`.

    python benchmarks/running.py [--stages 100] [--runs 5] [--dvc PATH]

All have the same graph (`graphs.py`) and begin with nothing built; the others run a shell command a stage. They take
turns. A stage's overhead is the wall time of the build without that of a build with nothing to do, over the number
of stages; the least of all runs counts for the quiet machine, the median stands beside it. Where a build of modelyard
differs: it runs each stage in a process of its own, hashes and syncs what it made, and keeps it in a store.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import graphs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, default=100, help="how many stages")
    parser.add_argument("--runs", type=int, default=5, help="how often each is built")
    parser.add_argument("--dvc", help="the dvc command (default: leave it out)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-running-", dir=Path.cwd()) as folder:
        place = Path(folder)
        builds = prepare(place, options.stages, options.dvc)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in builds}
        for _ in range(options.runs):
            for name, (command, project) in builds.items():
                times[name].append(build_twice(command, project))
        report(times, options.stages)


def prepare(place: Path, stages: int, dvc: str | None) -> dict[str, tuple[list[str], Path]]:
    """Write each tool's project, and return what builds it and where."""
    doit = [sys.executable, "-m", "doit"]
    project = place / "modelyard"
    graphs.write_modelyard(project, stages)
    graphs.run_command(doit, project)
    nodes = graphs.in_order(graphs.graph_of(project))
    found = {"modelyard": (doit, project)}
    for name, tool in graphs.tools(graphs.bare_doit(place), dvc, None).items():
        folder = place / name.replace(" ", "-")
        folder.mkdir()
        tool.write(folder, nodes)
        found[name] = (tool.command, folder)
    return found


def build_twice(command: list[str], project: Path) -> tuple[float, float]:
    """Remove what was built and recorded, and return the wall time of a build and of one with nothing to do, in seconds."""
    for made in ("artifacts", ".modelyard", ".dvc/cache", ".dvc/tmp", "site"):
        shutil.rmtree(project / made, ignore_errors=True)
    for made in ("bare.sqlite", "dvc.lock"):
        (project / made).unlink(missing_ok=True)
    return seconds(command, project), seconds(command, project)


def seconds(command: list[str], project: Path) -> float:
    begin = time.perf_counter()
    graphs.run_command(command, project)
    return time.perf_counter() - begin


def report(times: dict[str, list[tuple[float, float]]], stages: int) -> None:
    """Print the overhead of a stage of each tool."""
    print(
        f"{stages} trivial stages: wall time a stage beyond a build with nothing to do\n{'':12} {'least':>9} {'median':>10}"
    )
    for name, runs in times.items():
        each_ms = [(full - nothing) / stages * 1000 for full, nothing in runs]
        print(f"{name:12} {min(each_ms):6.1f} ms {statistics.median(each_ms):7.1f} ms")


if __name__ == "__main__":
    main()
