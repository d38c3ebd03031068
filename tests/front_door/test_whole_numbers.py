"""Whole numbers, such as token ids, reach the model as they are: in the data set, in training, as int8, in the server's backend."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modelyard.testing import run_doit, write_small_project
from tests.front_door.builds import build
from tests.known import know

WORDS, LENGTH = 5000, 12
"""Size of the vocabulary, and ids in a sample."""


def ids(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return texts as ids, int32, shape `(samples, 12)`, and their labels: the class has some of fifty words of its own."""
    random = np.random.default_rng(seed)
    y = np.arange(samples) % 2
    x = random.integers(200, WORDS, (samples, LENGTH)).astype(np.int32)
    for row, label in enumerate(y):
        x[row, random.choice(LENGTH, 5, replace=False)] = random.integers(0, 50, 5) + 50 * label
    return x, y


def save(folder: Path) -> None:
    (train_x, train_y), (test_x, test_y) = ids(2000, 0), ids(400, 1)
    np.savez(folder / "ids.npz", train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


def test_ids_are_kept_and_measured_as_they_are(new_toy: Path) -> None:
    y = np.arange(30) % 2
    x = np.stack([y, 2 - y], axis=1)  # so few that a byte would hold them, and no picture
    np.savez(new_toy / "ids.npz", train_x=x, train_y=y, test_x=x, test_y=y)
    pyproject = new_toy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('use = "points"', 'use = "arrays"\npath = "ids.npz"'))

    done = build(new_toy, "select.rule=plain", "select")

    assert done.code == 0, done.output
    assert "dtype int64" in done.output
    facts = json.loads((new_toy / "artifacts/dataset/arrays/dataset.json").read_text())
    (taken,) = facts["inputs"]
    assert (taken["dtype"], taken["preprocessing"]["scale"]) == ("int64", 1)
    assert np.array_equal(np.load(new_toy / "artifacts/dataset/arrays/train_x.npy"), x)
    assert json.loads((new_toy / "artifacts/select/toy/model/model.json").read_text())["inputs"][0]["dtype"] == "int64"

    refused = build(new_toy, "dataset.normalize=unit", "dataset")

    assert refused.code != 0
    assert "normalize = 'unit': the samples are int64, whole numbers such as token ids" in refused.output
    assert "Traceback" not in refused.output


PYPROJECT = """\
[project]
name = "words"
version = "1.0"

[tool.modelyard.dataset]
use = "arrays"
path = "ids.npz"

[tool.modelyard.model]
use = "net:build"

[tool.modelyard.train]
epochs = 5
learning_rate = 0.01

[tool.modelyard.variants]
float32 = ["float32"]
int8 = ["int8"]
"""
NET = '''
def build(input_shape, classes, *, dtype: str = "int32"):
    """The mean of the words' embeddings, and a dense layer.

    Args:
        dtype: the type of the input.
    """
    import tf_keras

    layers = tf_keras.layers
    mean = [layers.Embedding(5000, 8), layers.GlobalAveragePooling1D()]
    return tf_keras.Sequential([layers.Input(input_shape, dtype=dtype), *mean, layers.Dense(classes)])
'''


@pytest.mark.thorough
@pytest.mark.tensorflow
@pytest.mark.slow
def test_an_embedding_learns_from_ids_and_is_quantized(tmp_path: Path) -> None:
    project = know(write_small_project(tmp_path / "project", {"pyproject.toml": PYPROJECT, "net.py": NET}))
    save(project)
    for dtype in ("int32", "float32"):  # Keras's own type of an input without one
        done = run_doit(project, f"model.dtype={dtype}", "select")
        assert done.returncode == 0, done.stdout + done.stderr
        for variant in ("float32", "int8"):
            evaluation = json.loads((project / f"artifacts/evaluate/{variant}/evaluation.json").read_text())
            assert evaluation["accuracy"] > 0.97, f"{dtype}, {variant}"

    refused = run_doit(project, 'variants.int8=[{ use = "int8", io = "int8" }]', "optimize:int8")

    assert refused.returncode != 0
    assert "io = 'int8': the model takes int32, whole numbers that int8 cannot hold" in refused.stdout + refused.stderr
