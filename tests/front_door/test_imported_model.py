"""A Keras model that was trained elsewhere and ends in a softmax is measured and served as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modelyard.testing import run_doit, write_small_project
from tests.known import know

pytestmark = [pytest.mark.thorough, pytest.mark.tensorflow, pytest.mark.slow]

PYPROJECT = """\
[project]
name = "brought"
version = "1.0"

[tool.modelyard.dataset]
use = "arrays"
path = "data.npz"
normalize = "none"

[tool.modelyard.train]
use = "import"
path = "elsewhere.keras"
model_format = "tf_keras"

[tool.modelyard.variants]
float32 = ["float32"]
"""


def elsewhere(path: Path) -> None:
    """Write a model that answers 1 for the largest of three numbers, and 0 for the others."""
    import tf_keras

    dense = tf_keras.layers.Dense(3, activation="softmax", kernel_initializer=tf_keras.initializers.Identity(200))
    tf_keras.Sequential([tf_keras.Input((3,)), dense]).save(path)


def test_a_softmax_in_the_file_is_not_followed_by_another(tmp_path: Path) -> None:
    project = know(write_small_project(tmp_path / "project", {"pyproject.toml": PYPROJECT}))
    x, y = np.tile(np.eye(3, dtype=np.float32), (6, 1)), np.arange(18) % 3
    np.savez(project / "data.npz", train_x=x, train_y=y, test_x=x, test_y=y)
    elsewhere(project / "elsewhere.keras")

    done = run_doit(project, "select")

    assert done.returncode == 0, done.stdout + done.stderr
    answers = np.load(project / "artifacts/select/brought/reference/answers.npy")
    assert answers[:3].round(6).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert (
        json.loads((project / "artifacts/select/brought/model/model.json").read_text())["outputs"][0]["inside"] is True
    )
