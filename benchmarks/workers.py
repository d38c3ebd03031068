"""Build a project from nothing and tell how often each framework was imported, and what part of the time was not the stages'.

    python benchmarks/workers.py [--project DIR] [--tasks train evaluate ...] [--modules tensorflow torch ...]

The project is copied without what it has built. A finder in front of all others, put there by a `sitecustomize` on
PYTHONPATH, writes down each import of a framework: the process, and what sets its worker apart. A stage's own work is
the time from the request to its worker until its answer, which holds the framework's import where it is the first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HOOK = """
import os, sys


class Count:
    def find_spec(self, name, path=None, target=None):
        asks = sys._getframe(2).f_code.co_name  # importlib.util.find_spec only asks where a module is
        if name in os.environ["COUNTED"].split(",") and asks == "_find_and_load_unlocked":
            with open(os.environ["COUNTS"], "a") as file:
                file.write(f"{name} {os.environ.get('TF_USE_LEGACY_KERAS', '-')} {os.getpid()}\\n")


sys.meta_path.insert(0, Count())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--project", type=Path, default=Path(__file__).parents[1], help="the project (default: this clone)"
    )
    modules = ["tensorflow", "torch", "tensorflow_model_optimization", "tf_keras", "ai_edge_litert", "sklearn", "numpy"]
    parser.add_argument("--modules", nargs="+", default=modules, help="what to count")
    parser.add_argument("--tasks", nargs="+", default=[], help="what to build (default: all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-workers-") as folder:
        project, hook = Path(folder, "project"), Path(folder, "hook")
        built = shutil.ignore_patterns(".git", "artifacts", ".modelyard", "__pycache__", "examples", "tests", "docs")
        shutil.copytree(options.project, project, ignore=built)
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(HOOK)
        counts = hook / "counts.txt"
        wall_s = build(
            project,
            {"PYTHONPATH": str(hook), "COUNTED": ",".join(options.modules), "COUNTS": str(counts)},
            options.tasks,
        )
        report(wall_s, project, counts)


def build(project: Path, variables: dict[str, str], tasks: list[str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "doit", *tasks], cwd=project, env={**os.environ, **variables}, check=False
    )
    wall_s = time.perf_counter() - begin
    assert done.returncode == 0, "the build failed"
    return wall_s


def report(wall_s: float, project: Path, counts: Path) -> None:
    """Print how often each module was imported, and the share of the wall time that is not the stages' own work."""
    found = Counter(line.rsplit(" ", 1)[0] for line in set(counts.read_text().splitlines()))
    print("\nprocesses that imported a module (and the environment that sets them apart):")
    for what, count in sorted(found.items()):
        print(f"  {what:40} {count}")
    records = [json.loads(file.read_text()) for file in project.glob("artifacts/*/*/stage.json")]
    own_s = sum(record["duration_s"] for record in records)
    print(
        f"{len(records)} stages, {wall_s:.1f} s, of which {own_s:.1f} s in the stages: {1 - own_s / wall_s:.1%} is not theirs"
    )


if __name__ == "__main__":
    main()
