"""The checks of data sets, models, trainers, runtimes and builders: good ones pass, each broken promise is seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.errors import ModelyardError
from modelyard.files.locks import hold
from modelyard.project.load import state_of
from modelyard.testing import (
    check_builder,
    check_dataset,
    check_model,
    check_runtime,
    check_trainer,
    small_project,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["small_project"]  # a fixture: pytest finds it by name

PLUGIN = "plugins/toy.py"


@pytest.fixture
def toy(new_toy: Path) -> Path:
    """A project whose components need nothing but numpy."""
    return new_toy


def change(project: Path, old: str, new: str) -> Path:
    """Change one place of the project's plugin."""
    text = (project / PLUGIN).read_text()
    assert text.count(old) == 1, old
    (project / PLUGIN).write_text(text.replace(old, new))
    return project


def test_a_data_set_that_keeps_the_contract(toy: Path) -> None:
    found = check_dataset("points", project=toy, params={"samples": 90}, refuses=[{"samples": "many"}])
    assert len(found.y("train")) == 60
    assert not (toy / "artifacts/train").exists()


def test_checks_of_one_project_wait_for_each_other(toy: Path) -> None:
    """Each would change what the stages of the other read, which `pytest -n` runs beside it."""
    with ThreadPoolExecutor(1) as beside:
        with hold(state_of(toy) / "locks" / "checks.lock", "the project", print):
            waiting = beside.submit(check_dataset, "points", project=toy)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            assert not (toy / "artifacts").exists()
        assert len(waiting.result().y("test")) == 20


def test_a_model_and_its_trainer_that_keep_the_contract(toy: Path) -> None:
    assert check_trainer("centroids", project=toy, params={"passes": 2}).facts.format == "toy"
    assert check_model("model:build", project=toy).facts.class_names == ("origin", "right", "up")


def test_a_runtime_that_keeps_the_contract(toy: Path) -> None:
    assert check_runtime("toy", project=toy, refuses=[{"threads": "all"}]).metric("accuracy").value > 0.9


def test_a_builder_that_keeps_the_contract(toy: Path) -> None:
    facts = check_builder("tarball", project=toy, params={"note": "first"}, refuses=[{"note": 1}])
    assert facts.digest.startswith("sha256:")
    assert facts.archive == "image.tar"


SEED = "generator = np.random.default_rng(context.seed)"


@pytest.mark.parametrize(
    ("check", "name", "old", "new", "said"),
    [
        (check_dataset, "points", SEED, "generator = np.random.default_rng()", "'points' wrote other bytes the second"),
        (check_dataset, "points", "import json\n", "import json, numpy\n", "loading the plugins imports numpy"),
        (check_dataset, "points", "noise: standard deviation.", "nois: a.", "parameter 'noise' is not documented"),
        (
            check_trainer,
            "centroids",
            '    context.log("trained")',
            '    (context.project / "left.txt").write_text("x")',
            "'centroids' changed files of the project: left.txt",
        ),
        (
            check_trainer,
            "centroids",
            'write(context.out / "model.toy", model)\n    context.log("trained")',
            'write(context.out / "model.toy", {**model, "a": hash("a")})',
            "'centroids' wrote other bytes the second time: model.toy",
        ),
        (check_runtime, "toy", '.astype("float32")\n\n\ndef toy', '.astype("float64")\n\n\ndef toy', "float"),
        (
            check_runtime,
            "toy",
            "weight = np.exp(-distance)",
            "weight = np.exp(-distance * len(raw))",
            "alone and in a batch of 16 differ by",
        ),
        (check_runtime, "toy", 'accepts=("packed",)', 'accepts=("packd",)', "takes packd"),
        (
            check_builder,
            "tarball",
            "data = ",
            "import time; parts.append(str(time.time_ns())); data = ",
            "'tarball' wrote other bytes the second time: image",
        ),
    ],
)
def test_a_broken_promise_is_named(
    toy: Path, check: Callable[..., Any], name: str, old: str, new: str, said: str
) -> None:
    with pytest.raises((AssertionError, ModelyardError), match=said):
        check(name, project=change(toy, old, new))


def test_what_must_be_refused_and_is_not_is_told(toy: Path) -> None:
    with pytest.raises(AssertionError, match=r"'points' took \{'samples': 30\}, which it must refuse"):
        check_dataset("points", project=toy, refuses=[{"samples": 30}])


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.tensorflow
def test_built_in_components_keep_the_contract(small_project: Path) -> None:
    missing = {"path": "nothing.npz"}
    assert check_dataset("arrays", project=small_project, params={"path": "data.npz"}, refuses=[missing])
    assert check_model("digits-cnn", project=small_project, params={"filters": 4}).facts.format == "tf_keras"
    assert check_trainer("tensorflow", project=small_project, refuses=[{"epochs": 0}]).facts.format == "tf_keras"
    assert check_runtime("litert", project=small_project, params={"threads": 1}).metric("accuracy").value > 0.5
