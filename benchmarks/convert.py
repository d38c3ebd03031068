"""Time four conversions to LiteRT, one of them calibrated: one `doit`, and a process for each as scripts do it.

    python benchmarks/convert.py [--runs 2]

In a build all four are forked from one worker that has imported TensorFlow once. The scripts run the same functions.
Both in turn, so that whatever else the machine does falls on both; medians of wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelyard.testing import SMALL_PYPROJECT, run_doit, write_small_project

VARIANTS = ("float32", "float16", "dynamic-range", "int8")
SCRIPT = """
import sys
import time
from pathlib import Path

began = time.perf_counter()
import tensorflow
import tf_keras

loaded = time.perf_counter()
from modelyard.artifacts import Dataset, Model
from modelyard.contexts import OptimizeContext
from modelyard.plugins.load import load_plugins

project, name, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
function = load_plugins(project).get("optimizer", name, "benchmark").function
context = OptimizeContext(
    out=out, project=project, cache=out, seed=0, progress=lambda *_, **__: None, log=lambda _: None,
    model=Model.open(next(project.glob("artifacts/train/*"))), dataset=Dataset.open(next(project.glob("artifacts/dataset/*"))),
)
function(context)
print(loaded - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2, help="how often each is run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-convert-") as folder:
        variants = "".join(f'{name} = ["{name}"]\n' for name in VARIANTS[1:])
        project = write_small_project(Path(folder), {"pyproject.toml": SMALL_PYPROJECT + variants})
        run_doit(project, "train").check_returncode()
        builds, scripts = [], []
        for _ in range(options.runs):
            builds.append(build(project))
            scripts.append(as_scripts(project))
    report(builds, scripts)


def build(project: Path) -> tuple[float, list[float]]:
    """Return how long `doit optimize` took in seconds, and how long each of its stages."""
    run_doit(project, "forget", "optimize").check_returncode()
    began = time.perf_counter()
    run_doit(project, "optimize").check_returncode()
    wall = time.perf_counter() - began
    records = [json.loads((project / "artifacts/optimize" / name / "stage.json").read_text()) for name in VARIANTS]
    return wall, [record["duration_s"] for record in records]


def as_scripts(project: Path) -> tuple[float, list[float]]:
    """Return how long four processes took in seconds, and how long each imported the framework."""
    began, imports = time.perf_counter(), []
    for name in VARIANTS:
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT, project, name, out],
                env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
                capture_output=True,
                text=True,
                check=True,
            )
        imports.append(float(done.stdout.split()[-1]))
    return time.perf_counter() - began, imports


def report(builds: list[tuple[float, list[float]]], scripts: list[tuple[float, list[float]]]) -> None:
    one, four = (statistics.median(wall for wall, _ in all_) for all_ in (builds, scripts))
    stages, imports = (statistics.median(sum(parts) for _, parts in all_) for all_ in (builds, scripts))
    ratio = statistics.median(s / b for (b, _), (s, _) in zip(builds, scripts, strict=True))
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"one doit        {one:6.1f} s, of which {stages:.1f} s in the four stages   1 x")
    print(f"four processes  {four:6.1f} s, of which {imports:.1f} s importing TensorFlow  {ratio:.2f} x")


if __name__ == "__main__":
    main()
