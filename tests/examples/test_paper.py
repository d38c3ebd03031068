"""The profile `paper` of examples/cifar10, the script that measures it, and the page with what came out."""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.project.load import load
from modelyard.variants.evaluation import Evaluation
from tests.examples.environments import ROOT, copy_of
from tests.tasks import evaluation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def paper() -> Any:
    spec = importlib.util.spec_from_file_location("paper", ROOT / "examples/cifar10/paper.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def variants(tmp_path: Path) -> dict[str, Any]:
    folder = copy_of(ROOT / "examples/cifar10", tmp_path / "cifar10")
    (folder / "data").mkdir()
    return load(folder, {"profile": "paper"}).config.variants


def evaluations(variants: dict[str, Any], **accuracies: float) -> dict[str, Evaluation]:
    known = {name.replace("_", "-"): accuracy for name, accuracy in accuracies.items()}
    return {name: evaluation(accuracy=known.get(name, 0.7), size=200_000, gzip=100_000) for name in variants}


def test_every_variant_has_a_baseline_that_was_trained_as_long(paper: Any, variants: dict[str, Any]) -> None:
    plain = paper.equally_trained(variants)
    assert plain == {0: "float32", 2: "tuned-2-float32", 4: "tuned-4-float32", 6: "tuned-6-float32"}
    assert {paper.trained_epochs(steps) for steps in variants.values()} == set(plain)


def test_every_step_that_trains_has_the_same_budget(variants: dict[str, Any]) -> None:
    trained = [step.params for steps in variants.values() for step in steps if "epochs" in step.params]
    budgets = {(params["epochs"], params["batch_size"], params["learning_rate"]) for params in trained}
    assert budgets == {(2, 64, 0.0005)}


def test_differences_are_taken_seed_by_seed(paper: Any, variants: dict[str, Any]) -> None:
    runs = [
        evaluations(variants, tuned_2_float32=0.70, qat_int8=0.71),
        evaluations(variants, tuned_2_float32=0.60, qat_int8=0.61),
    ]
    cells = next(line for line in paper.table(variants, runs).splitlines() if line.startswith("| qat-int8 "))
    assert cells == "| qat-int8 | 2 | 66.00 ± 7.07 | +1.00 ± 0.00 | 200.0 | 100.0 | 1.0 | 1.0 |"


def test_the_page_has_every_variant_and_no_other(variants: dict[str, Any]) -> None:
    page = (ROOT / "docs/explanation/published-figures.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([a-z0-9-]+) \| \d ", page, re.MULTILINE) == list(variants)
    assert "@" not in page
