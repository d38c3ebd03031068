"""A step and callbacks of the project's own, in each framework."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# `train` is thorough for one of its frameworks
from tests.plugins.trainers.test_training_options import Train, blank, simulated, train  # noqa: F401 - fixtures

from modelyard.artifacts import Dataset
from modelyard.errors import PluginError

OWN = """
def twice(model, optimizer, inputs, targets):
    if hasattr(model, "zero_grad"):
        import torch
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        (2 * loss).backward()
        optimizer.step()
        return {"loss": loss, "batch": len(targets)}
    import tensorflow as tf
    with tf.GradientTape() as tape:
        answers = model(inputs, training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(targets, tf.int64), answers)
        loss = tf.reduce_mean(losses)
        twofold = 2 * loss
    found = tape.gradient(twofold, model.trainable_variables)
    optimizer.apply_gradients(zip(found, model.trainable_variables))
    return {"loss": loss, "batch": tf.shape(targets)[0]}


def known_names(model, optimizer, inputs, targets):
    return {"loss": 3.0, "accuracy": 0.5}


def nothing(model, optimizer, inputs, targets):
    return None


TOLD = []
CALLBACK = object


def watching(context):
    Base = CALLBACK

    class Watching(Base):
        def set_model(self, model):
            super().set_model(model) if Base is not object else None
            self.watched = model

        def on_train_begin(self, logs=None):
            TOLD.append("begin")

        def on_train_batch_end(self, batch, logs=None):
            TOLD.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            TOLD.append(sorted(logs))
            self.watched.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            TOLD.append("end")

    return [Watching()]


def none(context):
    return None


def others(context):
    return [object()]


class Misspelt:
    def on_epoch_ends(self, epoch, logs): ...


def misspelt(context):
    return [Misspelt()]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: Train, request: pytest.FixtureRequest) -> Any:  # noqa: F811
    """The project's own module `own_training`, whose callbacks are those of the framework that trains."""
    import importlib

    (tmp_path / "own_training.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_training", raising=False)
    module = importlib.import_module("own_training")
    framework = request.node.callspec.params["train"]
    if framework != "torch":
        package = importlib.import_module("keras" if framework == "keras" else "tf_keras")
        monkeypatch.setattr(module, "CALLBACK", package.callbacks.Callback)
    return module


OPTIONS = {"epochs": 6, "batch_size": 20, "optimizer": "sgd", "learning_rate": 0.25}


@pytest.mark.usefixtures("own")
def test_a_step_of_the_projects_own_is_taken_instead(train: Train, blank: Dataset) -> None:  # noqa: F811
    context, answer = train(blank, step="own_training:twice", **OPTIONS)
    logits = answer(np.zeros((1, 4, 4, 1), np.float32))[0]
    np.testing.assert_allclose(logits, simulated([0.75, 0.25], [0.5] * 6), atol=1e-5)
    assert context.metrics["train_batch"] == 20


@pytest.mark.usefixtures("own")
def test_its_figures_are_means_over_the_samples_of_an_epoch(train: Train, blank: Dataset) -> None:  # noqa: F811
    context, _ = train(blank, step="own_training:twice", **{**OPTIONS, "batch_size": 14})
    assert context.metrics["train_batch"] == pytest.approx((14 * 14 + 6 * 6) / 20)


@pytest.mark.usefixtures("own")
def test_its_figures_are_not_those_that_the_trainer_would_have_measured(train: Train, blank: Dataset) -> None:  # noqa: F811
    options = {"step": "own_training:known_names", "validation_fraction": 0.2}
    context, _ = train(blank, **options, **OPTIONS)
    assert (context.metrics["train_loss"], context.metrics["train_accuracy"]) == (3.0, 0.5)
    assert context.metrics["val_accuracy"] in (0.0, 0.25, 0.75, 1.0), "measured on the samples that are set apart"
    assert context.metrics["val_loss"] == pytest.approx(np.log(2))


@pytest.mark.usefixtures("own")
def test_a_step_without_figures_is_told(train: Train, blank: Dataset) -> None:  # noqa: F811
    with pytest.raises(PluginError, match=r"key 'step': own_training:nothing returned a NoneType, not figures"):
        train(blank, step="own_training:nothing", **OPTIONS)


def test_callbacks_are_told_and_may_stop(train: Train, blank: Dataset, own: Any) -> None:  # noqa: F811
    context, _ = train(blank, callbacks="own_training:watching", **{**OPTIONS, "batch_size": 10})
    assert own.TOLD == ["begin", 0, 1, ["accuracy", "loss"], 0, 1, ["accuracy", "loss"], "end"]
    assert context.metrics["epochs"] == 2


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none", "returned a NoneType\n  return a list of callbacks"),
        ("others", "object"),
        ("misspelt", "Misspelt"),
    ],
)
def test_what_is_no_callback_is_told(train: Train, blank: Dataset, name: str, told: str) -> None:  # noqa: F811
    with pytest.raises(PluginError, match=rf"(?s)key 'callbacks': (?=.*own_training).*{told}"):
        train(blank, callbacks=f"own_training:{name}", **OPTIONS)
