"""Time `doit` with nothing to do in a project as it stands here, beside bare doit with as many tasks and files.

    doit && python benchmarks/noop.py [PROJECT] [--runs 25]

The project (default: the repository's own) must be built. Bare doit gets the same graph with copies of the same files
and runs twice: in this environment, with doit's search for plugins but without those that modelyard brings, and in an
environment that holds nothing but doit. All take turns; the figure is CPU time, user and system, the median of all runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import graphs

BARE = """
import importlib.metadata, sys
from doit import plugin

def found(group):
    return [point for point in importlib.metadata.entry_points(group=group) if not point.module.startswith("modelyard")]

sys.argv[0], sys.path[0] = "doit", ""
plugin.entry_points_impl = lambda: found
from doit.__main__ import main
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, nargs="?", default=Path(__file__).parents[1], help="a built project")
    parser.add_argument("--runs", type=int, default=25, help="how often each is run")
    options = parser.parse_args()
    nodes = graphs.in_order(graphs.graph_of(options.project))
    assert nodes, f"{options.project} is not built: run `doit` there first"
    with tempfile.TemporaryDirectory(prefix="modelyard-noop-") as folder:
        copy = Path(folder) / "bare"
        copy.mkdir()
        graphs.copy_files(nodes, options.project, copy)
        graphs.write_doit(copy, nodes)
        here = [sys.executable, "-c", BARE]
        graphs.run_command(here, copy)
        commands = {
            "doit, here": ([sys.executable, "-m", "doit"], options.project),
            "bare doit, same environment": (here, copy),
            "bare doit, an environment of its own": (graphs.bare_doit(Path(folder)), copy),
            "python -c pass": ([sys.executable, "-c", "pass"], copy),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(options.runs + 1):  # the first round warms the caches
            for name, (command, place) in commands.items():
                spent = graphs.cpu_time(command, place)
                times[name] += [spent] if number else []
    medians = {name: statistics.median(values) for name, values in times.items()}
    files = sum(len(node.makes) for node in nodes)
    print(f"{len(nodes)} stages, {files} files, nothing to do")
    for name, seconds in medians.items():
        print(f"{name:37} {seconds * 1000:6.1f} ms CPU   doit here takes {medians['doit, here'] / seconds:5.2f} x")


if __name__ == "__main__":
    main()
