"""Time `doit` with nothing to do: modelyard, bare doit with as many tasks and files, and `python -c pass`.

    python benchmarks/noop.py [--runs 15] [--project DIR]

The three run in turn, so that whatever else the machine does falls on all of them. The figure is CPU time,
user and system; the median of all runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

TOY = Path(__file__).parents[1] / "tests" / "projects" / "toy"
BARE = """
import json
from pathlib import Path

DOIT_CONFIG = {"backend": "sqlite3", "dep_file": "bare.sqlite", "reporter": "executed-only"}


def task_all():
    for number, (deps, targets) in enumerate(json.loads(Path("graph.json").read_text())):
        yield {"name": str(number), "file_dep": deps, "targets": targets, "actions": ["touch " + " ".join(targets)]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="how often each is run")
    parser.add_argument("--project", type=Path, help="a project that is built already (default: a copy of the toy)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-noop-") as folder:
        project = options.project or _build_toy(Path(folder, "toy"))
        bare = _bare_twin(project, Path(folder, "bare"))
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], project),
            "bare doit": ([sys.executable, "-m", "doit"], bare),
            "modelyard": ([sys.executable, "-m", "doit"], project),
        }
        report(measure(commands, options.runs))


def _build_toy(folder: Path) -> Path:
    shutil.copytree(TOY, folder)
    subprocess.run([sys.executable, "-m", "doit"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def _bare_twin(project: Path, folder: Path) -> Path:
    """Write a dodo.py whose tasks have the files of the artifacts in `project`, and build it."""
    graph = []
    for record_file in sorted(project.glob("artifacts/*/*/stage.json")):
        record = json.loads(record_file.read_text())
        stage = record_file.parent.relative_to(project)
        deps = [f"artifacts/{i['stage'].replace(':', '/', 1)}/stage.json" for i in record["inputs"].values()]
        graph.append((sorted(set(deps)), [f"{stage}/stage.json", *(f"{stage}/{name}" for name in record["outputs"])]))
    for _, targets in graph:
        for target in targets:
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project / target, folder / target)
    (folder / "graph.json").write_text(json.dumps(graph))
    (folder / "dodo.py").write_text(BARE)
    subprocess.run([sys.executable, "-m", "doit"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def measure(commands: Mapping[str, tuple[Sequence[str], Path]], runs: int) -> dict[str, float]:
    """Return the median CPU time of each command in seconds; the first round warms the caches and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, (command, folder) in commands.items():
            spent = cpu_time(command, folder)
            if number:
                times[name].append(spent)
    return {name: statistics.median(values) for name, values in times.items()}


def cpu_time(command: Sequence[str], folder: Path) -> float:
    """Return the CPU time of one run in seconds, that of its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # as at a terminal: with bytecode kept, which some build environments switch off
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(times: Mapping[str, float]) -> None:
    """Print the times and what each is of bare doit's."""
    for name, seconds in times.items():
        print(f"{name:16} {seconds * 1000:7.1f} ms CPU   {seconds / times['bare doit']:5.2f} x bare doit")


if __name__ == "__main__":
    main()
