"""Contexts as a stage gives them, and one small training with real TensorFlow that several tests look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.calling import trainer
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Model, ModelFacts, Splits
from modelyard.component import check_values
from modelyard.config.checks import refuse
from modelyard.contexts import CheckContext, OptimizeContext, StageContext, TrainContext
from modelyard.files.json import write_json
from modelyard.plugins.load import Plugins, load_plugins


def no_progress(done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
    """Report to nobody."""


@dataclass
class Bench:
    """Makes contexts in a folder of its own; `lines` holds what stages logged, `told` their progress."""

    folder: Path

    def __post_init__(self) -> None:
        self.lines: list[str] = []
        self.told: list[tuple[float, float | None]] = []
        self.count = 0

    def progress(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.told.append((done, total))

    def _common(self, seed: int) -> dict[str, Any]:
        self.count += 1
        out = self.folder / f"out-{self.count}"
        cache = self.folder / "cache"
        out.mkdir(parents=True)
        cache.mkdir(exist_ok=True)
        return {
            "out": out,
            "project": self.folder,
            "cache": cache,
            "seed": seed,
            "progress": self.progress,
            "log": self.lines.append,
        }

    def stage(self, seed: int = 0) -> StageContext:
        return StageContext(**self._common(seed))

    def train(self, dataset: Dataset, build_model: Callable[..., Any], seed: int = 0) -> TrainContext:
        facts = model_facts(dataset, "untrained")
        return TrainContext(**self._common(seed), dataset=dataset, build_model=build_model, facts=facts)

    @staticmethod
    def open_model(folder: Path, dataset: Dataset, model_format: str) -> Model:
        return open_model(folder, dataset, model_format)

    def optimize(self, dataset: Dataset, model: Model, seed: int = 0) -> OptimizeContext:
        return OptimizeContext(**self._common(seed), dataset=dataset, model=model)


def context(out: Path, folder: Path, build_model: Callable[..., Any]) -> TrainContext:
    """Return a context to train in, of a process of its own: for the data set in `folder`, writing to `out`."""
    dataset = Dataset.open(folder)
    return TrainContext(
        out=out,
        project=out,
        cache=out,
        seed=0,
        progress=no_progress,
        log=print,
        dataset=dataset,
        build_model=build_model,
        facts=model_facts(dataset, "untrained"),
    )


def model_facts(dataset: Dataset, model_format: str) -> ModelFacts:
    """Return what `model.json` says of a model for `dataset`."""
    facts = dataset.facts
    return ModelFacts.of(facts, model_format)


def open_model(folder: Path, dataset: Dataset, model_format: str) -> Model:
    """Write `model.json` as the stage does after a trainer or an optimizer, and open the model."""
    write_json(folder / "model.json", model_facts(dataset, model_format))
    return Model.open(folder)


def stripes(samples: int, seed: int, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy pictures with a bright column (label 0), row (1) or square (2), and their labels."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 100, (samples, side, side, 1), dtype=np.uint8)
    y = np.arange(samples) % 3
    x[y == 0, :, side // 2] = 255
    x[y == 1, side // 2, :] = 255
    x[y == 2, :3, :3] = 255
    return x, y


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def stripes_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """192 + 48 pictures of 8 x 8 in three classes, easy to learn."""
    folder = tmp_path_factory.mktemp("stripes")
    splits = Splits(*stripes(192, 0), *stripes(48, 1), ("column", "row", "square"))
    write_dataset(splits, folder, progress=no_progress)
    return Dataset.open(folder)


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Import TensorFlow once, with the Keras 2 API, or skip."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    pytest.importorskip("tensorflow_model_optimization")


@dataclass
class Trained:
    """A trained model, and what its stage said."""

    dataset: Dataset
    model: Model
    context: TrainContext
    lines: list[str]
    told: list[tuple[float, float | None]]


@pytest.fixture(scope="session")
def trained(tensorflow: None, stripes_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """`digits-cnn`, trained on the stripes for four epochs."""
    from modelyard_plugins.models.digits_cnn import digits_cnn

    train = trainer("tensorflow")

    bench = Bench(tmp_path_factory.mktemp("trained"))
    context = bench.train(stripes_dataset, digits_cnn)
    train(context, epochs=4, batch_size=16, learning_rate=0.003)
    model = open_model(context.out, stripes_dataset, "tf_keras")
    return Trained(stripes_dataset, model, context, bench.lines, bench.told)


@pytest.fixture(scope="session")
def keras3_trained(tensorflow: None, stripes_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small network of Keras 3, trained on the stripes for four epochs."""
    from tests.plugins.keras3 import small_cnn

    train = trainer("keras")

    bench = Bench(tmp_path_factory.mktemp("keras3"))
    context = bench.train(stripes_dataset, small_cnn)
    train(context, epochs=4, batch_size=16, learning_rate=0.003)
    model = open_model(context.out, stripes_dataset, "keras")
    return Trained(stripes_dataset, model, context, bench.lines, bench.told)


@pytest.fixture(scope="session")
def pruned(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The trained model with half of each kernel's weights zero."""
    from modelyard_plugins.optimizers.prune import prune

    context = Bench(tmp_path_factory.mktemp("pruned")).optimize(trained.dataset, trained.model)
    prune(context, epochs=1, batch_size=16)
    return open_model(context.out, trained.dataset, "tf_keras")


@pytest.fixture(scope="session")
def torch() -> None:
    """Import PyTorch once, as its worker does, or skip."""
    from modelyard_plugins.support.torch.start import TORCH

    os.environ.update(TORCH["environment"])
    pytest.importorskip("torch")


@pytest.fixture(scope="session")
def torch_trained(torch: None, stripes_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """`digits-cnn-torch`, trained on the stripes for four epochs."""
    from modelyard_plugins.models.digits_cnn_torch import digits_cnn_torch

    train = trainer("torch")

    bench = Bench(tmp_path_factory.mktemp("torch"))
    context = bench.train(stripes_dataset, digits_cnn_torch)
    train(context, epochs=4, batch_size=16, learning_rate=0.003)
    model = open_model(context.out, stripes_dataset, "torch")
    return Trained(stripes_dataset, model, context, bench.lines, bench.told)


@pytest.fixture(scope="session")
def built_ins(tmp_path_factory: pytest.TempPathFactory) -> Plugins:
    return load_plugins(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def accept(built_ins: Plugins) -> Callable[..., None]:
    """Return a function that checks a built-in component's parameters as loading a project does."""

    def check(kind: str, component: str, around: dict[str, Any] | None = None, **params: Any) -> None:
        found = built_ins.get(kind, component, "test")
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in params.items()}
        context = CheckContext(**{"name": "digits", "version": "1", "runtime": "served", **(around or {})})
        refuse(found, check_values(found.parameters, plain, "here"), context, "here")

    return check
