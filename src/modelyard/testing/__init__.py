"""For plugin authors: small projects with small data, `doit` in them, and a check of the contract.

The fixtures come with one line in `conftest.py`, the functions with an import:

    pytest_plugins = ("modelyard.testing",)

    from modelyard.testing import check_optimizer, measure

    def test_round_weights(small_project):
        checked = check_optimizer("round-weights", project=small_project, params={"levels": 32})
        assert checked.evaluation.gzip_bytes < measure(small_project, ["float32"]).gzip_bytes

A plugin is found as a build finds it: by its entry point when its package is installed, or as a file in the
project's `plugins/`. This module imports pytest; nothing else in modelyard does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.rendering.templates import builtin_folder
from modelyard.testing.component import check_component
from modelyard.testing.executor import check_executor
from modelyard.testing.handler import check_handler
from modelyard.testing.kind import check_kind
from modelyard.testing.optimizer import Checked, check_optimizer, measure
from modelyard.testing.source import check_source
from modelyard.testing.stage import check_builder, check_dataset, check_model, check_runtime, check_trainer
from modelyard.testing.target import check_target, render_target
from modelyard.testing.task import check_task
from modelyard.testing.variants import check_gate, check_metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SMALL_PYPROJECT",
    "Checked",
    "check_builder",
    "check_component",
    "check_dataset",
    "check_executor",
    "check_gate",
    "check_handler",
    "check_kind",
    "check_metric",
    "check_model",
    "check_optimizer",
    "check_runtime",
    "check_source",
    "check_target",
    "check_task",
    "check_trainer",
    "measure",
    "project_of",
    "render_target",
    "run_doit",
    "small_arrays",
    "small_project",
    "write_project",
    "write_small_project",
]

ProjectOf = Callable[[Mapping[str, "str | bytes"]], Path]

SMALL_PYPROJECT = """\
[project]
name = "small"
version = "1.0"

[tool.modelyard]
name = "small"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"

[tool.modelyard.model]
use = "digits-cnn"
filters = 4
dense_units = 16

[tool.modelyard.train]
use = "tensorflow"
epochs = 20

[tool.modelyard.variants]
float32 = ["float32"]
"""
"""A project that trains in a second: its data is `small_arrays()` in `data.npz`."""

_OF_THE_TEST_RUN = ("DOIT_CONFIG", "MODELYARD_DEBUG")


def small_arrays(
    *, seed: int = 0, shape: tuple[int, ...] = (8, 8, 1), classes: int = 3, train: int = 192, test: int = 96
) -> dict[str, NDArray[np.generic]]:
    """Return a data set that a small network learns: a pattern for each class, with noise.

    Args:
        seed: of the random generator.
        shape: one sample's shape, channels last.
        classes: how many labels.
        train: training samples.
        test: test samples.

    Returns:
        `train_x` and `test_x`, uint8, shape `(N, *shape)`; `train_y` and `test_y`, int64, shape `(N,)`.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    patterns = random.uniform(40, 215, (classes, *shape))

    def split(samples: int) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        y = np.arange(samples, dtype=np.int64) % classes
        noisy = patterns[y] + random.normal(0, 25, (samples, *shape))
        return np.clip(noisy, 0, 255).astype(np.uint8), y

    (train_x, train_y), (test_x, test_y) = split(train), split(test)
    return {"train_x": train_x, "train_y": train_y, "test_x": test_x, "test_y": test_y}


def write_project(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a project from a dict of files and return its folder; `dodo.py` is the usual one unless it is given.

    Args:
        folder: where to; made if need be.
        files: the content of each file by its path in the project.
    """
    usual = (builtin_folder() / "project/dodo.py.txt").read_text(encoding="utf-8")
    for name, content in {"dodo.py": usual, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_small_project(folder: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Write the small project and its data, with `files` beside or instead of its own, and return its folder."""
    import numpy as np

    write_project(folder, {"pyproject.toml": SMALL_PYPROJECT, **(files or {})})
    arrays: dict[str, Any] = {**small_arrays()}
    np.savez(folder / "data.npz", **arrays)
    return folder


def run_doit(
    project: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 600,
    python: Path | str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run `doit` in `project` as a person does, and return its exit code and output.

    Args:
        project: the project's folder.
        arguments: for instance `"list", "--all"` or `"train.epochs=1", "select"`.
        env: environment variables to add.
        timeout_s: how long it may take.
        python: the interpreter of the environment that modelyard is installed in.
    """
    usual = {name: value for name, value in os.environ.items() if name not in _OF_THE_TEST_RUN}
    return subprocess.run(
        [python, "-m", "doit", *arguments],
        cwd=project,
        env={**usual, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture
def project_of(tmp_path: Path) -> ProjectOf:
    """Return a function that writes a project from a dict of files: `project_of({"pyproject.toml": "..."})`."""
    return lambda files: write_project(tmp_path / "project", files)


@pytest.fixture(scope="session")
def small_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small project, one for the whole test run: its data set and training are built once."""
    return write_small_project(tmp_path_factory.mktemp("small") / "project")
