"""Data and models that are damaged, or made to do harm: a build ends at once, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Doit


@pytest.fixture
def with_labels(toy_project: Path):
    """Return a function that gives the toy project labels of its own, the given ones over and over."""

    def make(labels: list[int], dtype: str) -> Path:
        y = np.array(labels * 4, dtype)
        x = np.eye(len(y), 2, dtype=np.float32)
        np.savez(toy_project / "a.npz", train_x=x, train_y=y, test_x=x, test_y=y)
        pyproject = toy_project / "pyproject.toml"
        pyproject.write_text(pyproject.read_text().replace('use = "points"', 'use = "arrays"\npath = "a.npz"'))
        return toy_project

    return make


@pytest.mark.parametrize(
    ("labels", "dtype", "words"),
    [
        ([0, 1, 2**31 - 2], "int32", "label 2147483646 stands at 4 of 12 samples"),
        ([0, 1, 2**32 - 1], "uint32", "if it (-1 without a sign) means 'unknown' or 'ignore', leave those samples out"),
        ([0, 1, -1], "int64", "label -1 stands at 4 of 12 samples, the first is sample 2"),
        ([1, 2, 3], "int64", "labels count from 0 to 2: subtract 1 from each"),
    ],
)
def test_labels_that_are_no_classes_are_told_in_words(with_labels, doit: Doit, labels, dtype, words):
    done = doit(with_labels(labels, dtype), "dataset", timeout_s=60)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_records_that_are_nested_without_end_are_not_taken(toy: Path, doit: Doit):
    """Of the artifact and of the store: the stage runs again, and both are whole."""
    deep = b'{"parts":{"a":' + b"[" * 99_999 + b"]" * 99_999 + b"}}"
    traces = list((toy / ".modelyard" / "store" / "traces").rglob("*.json"))
    assert traces
    for path in (*traces, *(toy / "artifacts" / "train").rglob("stage.json")):
        path.chmod(0o644)
        path.write_bytes(deep)
    done = doit(toy, "train")
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr


_PLUGIN = """
import os
import pickle
import zipfile

from modelyard import hookimpl


class Runs:
    def __reduce__(self):
        return os.mkdir, (os.path.abspath("code-ran"),)


def download(context):
    \"""Hand on a model of somebody else.\"""
    with zipfile.ZipFile(context.out / "model.pt2", "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_exported_program.json", "{}")
        for part in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{part}.pt", pickle.dumps(Runs()))


@hookimpl
def modelyard_register_trainers(register):
    register("download", download, produces="torch")
"""


@pytest.mark.torch
def test_a_model_that_a_plugin_has_downloaded_runs_no_code(toy_project: Path, doit: Doit):
    """The format before PyTorch 2.8: torch.export.load unpickles it."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (toy_project / "plugins" / "download.py").write_text(_PLUGIN)
    pyproject = (toy_project / "pyproject.toml").read_text()
    head, _, rest = pyproject.partition("[tool.modelyard.runtime]")
    tail = rest.partition("[tool.modelyard.gates]")[2].partition("[tool.modelyard.image]")[0]
    variants = '[tool.modelyard.runtime]\nuse = "onnxruntime"\n[tool.modelyard.variants]\nplain = ["torch-onnx"]\n'
    (toy_project / "pyproject.toml").write_text(
        f"{head.replace('centroids', 'download')}{variants}[tool.modelyard.gates]{tail}"
    )
    done = doit(toy_project, "optimize:plain", timeout_s=300)
    output = done.stdout + done.stderr
    assert "model.pt2: cannot be read as a program of torch.export" in output
    assert "Traceback" not in output
    assert done.returncode != 0
    assert not list(toy_project.rglob("code-ran"))
