"""The example projects: their plan stands, and they build with small data of the same shape."""

from __future__ import annotations

import gzip
import json
import struct
from typing import TYPE_CHECKING, NamedTuple

import pytest

from modelyard.project.load import load
from modelyard.testing import run_doit, small_arrays
from tests.examples.environments import ROOT, copy_of

if TYPE_CHECKING:
    from pathlib import Path


class Example(NamedTuple):
    """What is expected of an example project: its variants, and if some are pruned what prunes, and what they are compared with."""

    name: str
    changes: dict[str, str]
    variants: tuple[str, ...]
    prunes: str = ""
    control: str = ""


SIX = ("float32", "float16", "dynamic-range", "int8", "pruned-float32", "pruned-int8")
ONNX = ("float32", "dynamic-int8", "static-int8", "pt2e-int8", "pruned-float32", "pruned-int8")
FOLDER = {"dataset.folder": "data"}
EXAMPLES = (
    Example("cifar10", FOLDER, SIX, "prune", "float32-fine-tune"),
    Example("fashion-mnist", FOLDER, SIX, "prune", "float32-fine-tune"),
    Example("digits-torch", {}, ONNX, "torch-prune", "float32-torch-fine-tune"),
    Example("events", {}, ("float32", "int8")),
)
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent.sock"}

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


@pytest.fixture
def folder(example: Example, tmp_path: Path) -> Path:
    """A copy of an example project, with an empty folder where it wants its data."""
    copy = copy_of(ROOT / "examples" / example.name, tmp_path / example.name)
    (copy / "data").mkdir()
    return copy


@each_example
def test_every_variant_and_target_is_planned(example: Example, folder: Path) -> None:
    plan = load(folder, example.changes).plan
    # beside them the baseline, trained as long as the pruned variants
    controls = [example.control] if example.control else []
    assert [stage.name for stage in plan.of_kind("evaluate")] == [*example.variants, *controls]
    assert [stage.name for stage in plan.of_kind("render")] == ["kubernetes", "compose"]
    pruned = [stage for stage in plan.of_kind("optimize") if stage.uses["optimizer"].component.name == example.prunes]
    assert len(pruned) == len(controls), "the variants share their pruning"


@each_example
def test_every_project_has_the_same_dodo(example: Example) -> None:
    assert (ROOT / "examples" / example.name / "dodo.py").read_text() == (ROOT / "dodo.py").read_text()


@each_example
def test_the_table_in_the_readme_has_every_variant(example: Example, folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    for variant in load(folder, example.changes).config.variants:
        assert f"\n| {variant} " in readme


def test_every_example_that_is_a_project_is_among_them() -> None:
    projects = {path.parent.name for path in (ROOT / "examples").glob("*/dodo.py")}
    assert projects == {example.name for example in EXAMPLES}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.network
def test_digits_torch_builds_as_it_stands_without_an_engine_and_then_does_nothing(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    project = copy_of(ROOT / "examples/digits-torch", tmp_path / "project")
    done = run_doit(project, env=NO_ENGINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("built 24, restored 0, up to date 0"), done.stdout
    selection = json.loads((project / "artifacts/select/digits-torch/selection.json").read_text())
    assert selection["chosen"] == "pruned-int8"
    deployment = (project / "artifacts/render/kubernetes/40-deployment.yaml").read_text()
    digest = json.loads((project / "artifacts/image/digits-torch/image.json").read_text())["digest"]
    assert f"@{digest}" in deployment
    again = run_doit(project, env=NO_ENGINE)
    assert again.stdout.splitlines()[-1].startswith("built 0, restored 0, up to date 24"), again.stdout


def write_idx(folder: Path) -> None:
    """Write four IDX files with the shapes of Fashion-MNIST and a hundredth of its samples."""
    arrays = small_arrays(shape=(28, 28), classes=10, train=600, test=100)
    for split, name in (("train", "train"), ("test", "t10k")):
        x, y = arrays[f"{split}_x"], arrays[f"{split}_y"].astype("uint8")
        images = struct.pack(">IIII", 0x803, *x.shape) + x.tobytes()
        labels = struct.pack(">II", 0x801, len(y)) + y.tobytes()
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


@pytest.mark.thorough
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
