"""What trainers and model optimizers are given: the data, and the model with its parameters filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.contexts.documented import documented, own_fields
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Model, ModelFacts, Splits
from modelyard.contexts import OptimizeContext, TrainContext

X, Y = np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1])


@pytest.fixture
def common(tmp_path: Path) -> dict[str, Any]:
    base: dict[str, Any] = {"out": tmp_path / "out", "project": tmp_path, "cache": tmp_path, "seed": 7}
    return base | {"progress": lambda *_, **__: None, "log": lambda _: None}


def dataset(folder: Path, x: Any = X) -> Dataset:
    folder.mkdir()
    write_dataset(Splits(x, Y, x, Y, ("cat", "dog")), folder, progress=lambda *_, **__: None)
    return Dataset.open(folder)


@pytest.mark.parametrize("struct", [TrainContext, OptimizeContext])
def test_each_field_is_documented(struct: type[msgspec.Struct]) -> None:
    assert sorted(documented(struct)) == sorted(own_fields(struct))


@pytest.mark.parametrize(("x", "shape"), [(X, (3,)), ({"a": X, "b": X[:, 0]}, {"a": (3,), "b": ()})])
def test_a_model_is_built_of_what_the_data_set_says(x: Any, shape: Any, common: dict[str, Any], tmp_path: Path) -> None:
    data, built = dataset(tmp_path / "data", x), []
    context = TrainContext(
        **common,
        dataset=data,
        facts=ModelFacts.of(data.facts, "onnx"),
        build_model=lambda *asked: built.append(asked) or "a model",
    )
    assert context.build_model(context.dataset.facts.sample_shape, context.dataset.facts.classes) == "a model"
    assert built == [(shape, 2)]
    assert context.loss_weights == {}, "one output is learnt"


def test_an_optimizer_may_learn_by_the_weights_that_the_trainer_had(common: dict[str, Any], tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    model = Model(tmp_path, ModelFacts.of(data.facts, "onnx"))
    weights = {"label": 1.0, "box": 0.0}
    context = OptimizeContext(**common, model=model, dataset=data, loss_weights=weights)
    assert (context.loss_weights, context.seed, context.threads) == (weights, 7, 1)
    assert OptimizeContext(**common, model=model, dataset=data).loss_weights == {}
    context.warn("two layers stay float32")
    assert context.warnings == ["two layers stay float32"]
