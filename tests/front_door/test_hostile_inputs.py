"""Data and models that are damaged, or made to do harm: a build ends at once, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Doit


@pytest.fixture
def with_labels(toy_project: Path) -> Callable[..., Any]:
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
def test_labels_that_are_no_classes_are_told_in_words(
    with_labels: Callable[..., Any], doit: Doit, labels: list[int], dtype: str, words: str
) -> None:
    done = doit(with_labels(labels, dtype), "dataset", timeout_s=60)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_records_that_are_nested_without_end_are_not_taken(toy: Path, doit: Doit) -> None:
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
import re
import zipfile

from modelyard import hookimpl


def download(context):
    \"""Hand on a model of somebody else, whose size is code.\"""
    import torch

    from modelyard_plugins.support.torch.program import export_program, save_program

    save_program(export_program(torch.nn.Linear(2, 3).eval(), torch.zeros(2, 2), "net", print), context.out / "whole.pt2")
    code = f"__import__('os').mkdir('{os.path.abspath('code-ran')}')"
    with zipfile.ZipFile(context.out / "whole.pt2") as whole, zipfile.ZipFile(context.out / "model.pt2", "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, re.sub(rb"Symbol[^\\"]*", code.encode(), whole.read(name)))
    (context.out / "whole.pt2").unlink()


@hookimpl
def modelyard_register_trainers(register):
    register("download", download, produces="torch")
"""


@pytest.mark.torch
def test_a_model_that_a_plugin_has_downloaded_runs_no_code(toy_project: Path, doit: Doit) -> None:
    """torch.export.load has sympy evaluate the sizes in it."""
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
    assert "would have to be evaluated, which can run any code" in output
    assert "Traceback" not in output
    assert done.returncode != 0
    assert not list(toy_project.rglob("code-ran"))
