"""The contract that authors of model optimizers check: built-ins keep it, and each broken promise is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import ModelyardError
from modelyard.testing import check_optimizer, measure, small_project

__all__ = ["small_project"]  # a fixture: pytest finds it by name

BROKEN = '''
import json, os, time
from modelyard import hookimpl
from modelyard.params import Fraction

def {name}(context, *, share: Fraction = 0.5):
    """Do something.

    Args:
        share: how much.
    """
    model = context.model.path.read_text()
    {body}
    (context.out / "model.toy").write_text(model)

@hookimpl
def modelyard_register_optimizers(register):
    register("{name}", {name}, accepts=("toy",), produces="toy")
'''


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project whose trainer and model optimizers need nothing but numpy."""
    return new_toy


def add_optimizer(project: Path, body: str, name: str = "mine", old: str = "", new: str = "") -> Path:
    """Add a model optimizer to the project; `body` is a statement in it."""
    (project / f"plugins/{name}.py").write_text(BROKEN.format(name=name, body=body).replace(old, new))
    return project


def test_an_optimizer_that_keeps_the_contract(toy: Path) -> None:
    checked = check_optimizer(
        "mine", project=add_optimizer(toy, "context.metrics['half'] = share"), refuses=[{"share": 2}]
    )
    assert checked.metrics == {"half": 0.5}
    assert checked.model.facts.format == "toy"
    assert checked.evaluation.metric("accuracy").value == measure(toy, ["pack"]).metric("accuracy").value > 0.9


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "model = model + ' ' * (time.time_ns() % 1000)",
            "'mine' wrote other bytes the second time: model.toy; take every",
        ),
        (
            "model += ' ' * next(iter({'a' * n: n for n in range(1)}.values()), 0) + ' ' * (hash('a') % 97)",
            "other bytes",
        ),
        ("(context.project / 'left.txt').write_text('x')", "changed files of the project: left.txt; write below"),
        ("os.chmod(context.model.path, 0o644); context.model.path.write_text(model + ' ')", "artifacts/train|changed"),
    ],
    ids=["time", "hash", "project", "parent"],
)
def test_an_optimizer_whose_output_cannot_be_trusted(toy: Path, body: str, said: str) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check_optimizer("mine", project=add_optimizer(toy, body))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("share: how much.", "other: how much.", "parameter 'share' is not documented"),
        ('accepts=("toy",)', 'accepts=("onnx",)', "no trainer and model optimizers of this project lead to"),
    ],
)
def test_an_optimizer_that_is_declared_wrongly(toy: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_optimizer("mine", project=add_optimizer(toy, "pass", old=old, new=new))


def test_an_optimizer_must_refuse_what_its_author_says_it_refuses(toy: Path) -> None:
    with pytest.raises(AssertionError, match=r"'mine' took \{'use': 'mine', 'share': 1\}, which it must refuse"):
        check_optimizer("mine", project=add_optimizer(toy, "pass"), refuses=[{"share": 1}])


def test_an_optimizer_must_refuse_in_words(toy: Path) -> None:
    crash = add_optimizer(toy, "assert share < 0.9, 'too much'")
    with pytest.raises(
        AssertionError, match=r"must refuse with an error of modelyard.errors: (?s:.*) raised AssertionError"
    ):
        check_optimizer("mine", project=crash, refuses=[{"share": 1}])


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "params", "refused"),
    [
        pytest.param("float32", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("float16", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("dynamic-range", {}, {"bits": 8}, marks=pytest.mark.thorough),
        pytest.param("int8", {"calibration_samples": 50}, {"io": "int16"}, marks=pytest.mark.thorough),
        pytest.param("int16x8", {"calibration_samples": 50}, {"calibration_samples": 0}, marks=pytest.mark.thorough),
        pytest.param("prune", {"epochs": 4}, {"skip": ["no_such_layer"]}, marks=pytest.mark.thorough),
        pytest.param("cluster", {"clusters": 8}, {"preserve_sparsity": True}, marks=pytest.mark.thorough),
        pytest.param("qat", {"learning_rate": 0.001}, {"preserve": ["clusters"]}, marks=pytest.mark.thorough),
        pytest.param("fine-tune", {"epochs": 1}, {"epochs": 0}, marks=pytest.mark.thorough),
    ],
)
def test_built_in_optimizers_keep_the_contract(
    small_project: Path, name: str, params: dict[str, object], refused: dict[str, object]
) -> None:
    """Those of ONNX do in every run, where nothing has to import a framework: `tests/front_door/test_onnx_road.py`."""
    checked = check_optimizer(name, project=small_project, params=params, refuses=[refused])
    assert checked.evaluation.metric("accuracy").value > 0.8
