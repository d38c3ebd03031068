"""The example projects: their plan stands, and they build with small data of the same shape."""

from __future__ import annotations

import gzip
import json
import struct
from typing import TYPE_CHECKING

import pytest

from modelyard.project import load
from modelyard.testing import run_doit, small_arrays
from tests.examples.environments import ROOT, copy_of

if TYPE_CHECKING:
    from pathlib import Path

PROJECTS = ("cifar10", "fashion-mnist")


@pytest.fixture(params=PROJECTS)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an example project, with an empty folder where it wants its data."""
    folder = copy_of(ROOT / "examples" / request.param, tmp_path / request.param)
    (folder / "data").mkdir()
    return folder


def test_every_variant_and_target_is_planned(example: Path) -> None:
    plan = load(example, {"dataset.folder": "data"}).plan
    variants = ["float32", "float16", "dynamic-range", "int8", "pruned-float32", "pruned-int8"]
    control = "float32-fine-tune"  # the baseline, trained as long as the pruned variants
    assert [stage.name for stage in plan.of_kind("evaluate")] == [*variants, control]
    assert [stage.name for stage in plan.of_kind("render")] == ["kubernetes", "compose"]
    pruned = [stage for stage in plan.of_kind("optimize") if stage.uses["optimizer"].component.name == "prune"]
    assert len(pruned) == 1, "the variants share their pruning"


@pytest.mark.parametrize("project", PROJECTS)
def test_every_project_has_the_same_dodo(project: str) -> None:
    assert (ROOT / "examples" / project / "dodo.py").read_text() == (ROOT / "dodo.py").read_text()


def test_the_table_in_the_readme_has_every_variant(example: Path) -> None:
    readme = (example / "README.md").read_text()
    for variant in load(example, {"dataset.folder": "data"}).config.variants:
        assert f"\n| {variant} " in readme


def write_idx(folder: Path) -> None:
    """Write four IDX files with the shapes of Fashion-MNIST and a hundredth of its samples."""
    arrays = small_arrays(shape=(28, 28), classes=10, train=600, test=100)
    for split, name in (("train", "train"), ("test", "t10k")):
        x, y = arrays[f"{split}_x"], arrays[f"{split}_y"].astype("uint8")
        images = struct.pack(">IIII", 0x803, *x.shape) + x.tobytes()
        labels = struct.pack(">II", 0x801, len(y)) + y.tobytes()
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_fashion_mnist_selects_a_variant_on_small_data(tmp_path: Path) -> None:
    example = copy_of(ROOT / "examples/fashion-mnist", tmp_path / "example")
    (example / "data").mkdir()
    write_idx(example / "data")
    no_gates = ("gates.min_accuracy=0", "gates.max_accuracy_drop=1")
    done = run_doit(example, "dataset.folder=data", *no_gates, "select")
    assert done.returncode == 0, done.stdout + done.stderr
    selection = json.loads((example / "artifacts/select/fashion-mnist/selection.json").read_text())
    assert selection["chosen"] in {"int8", "pruned-int8"}
