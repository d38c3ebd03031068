from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained

from modelyard.artifacts import Dataset
from modelyard.errors import ConfigError, StageFailed

if TYPE_CHECKING:
    from modelyard.artifacts import Model


@pytest.mark.parametrize(
    ("schedule", "sparsity", "batch_size"),
    [("constant", 0.8, 16), pytest.param("polynomial", 0.6, 192, marks=pytest.mark.thorough)],
)
def test_every_layer_reaches_the_sparsity(
    trained: Trained, bench: Bench, schedule: Literal["constant", "polynomial"], sparsity: float, batch_size: int
) -> None:
    from modelyard_plugins.optimizers.prune import prune
    from modelyard_plugins.support.keras_files import load_keras

    context = bench.optimize(trained.dataset, trained.model)
    prune(context, sparsity=sparsity, schedule=schedule, batch_size=batch_size, epochs=1)
    pruned, parent = load_keras(context.out / "model.keras"), load_keras(trained.model.path)
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in parent.layers]
    assert pruned.count_params() == parent.count_params()
    for name in ("conv1", "conv2", "dense", "logits"):
        kernel = pruned.get_layer(name).kernel.numpy()
        assert (kernel == 0).mean() == pytest.approx(sparsity, abs=1 / kernel.size)
    assert context.metrics["sparsity"] == pytest.approx(sparsity, abs=0.01)
    assert len(gzip.compress((context.out / "model.keras").read_bytes())) < trained.model.path.stat().st_size * 0.9


def test_the_parent_on_disk_stays_as_it_was_and_the_pruned_model_still_works(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune
    from modelyard_plugins.support.keras_files import load_keras

    before = trained.model.path.read_bytes()
    context = bench.optimize(trained.dataset, trained.model)
    prune(context, sparsity=0.5, epochs=2)
    assert context.metrics["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert trained.model.path.read_bytes() == before
    found = load_keras(context.out / "model.keras").predict(trained.dataset.inputs("test"), verbose=0)
    assert (found.argmax(1) == trained.dataset.y("test")).mean() > 0.9
    assert any(line.startswith("epoch 2/2") for line in bench.lines)


def test_skipped_layers_keep_all_their_weights(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune
    from modelyard_plugins.support.keras_files import load_keras

    context = bench.optimize(trained.dataset, trained.model)
    prune(context, sparsity=0.9, epochs=1, skip=("logits", "conv1"))
    pruned = load_keras(context.out / "model.keras")
    assert (pruned.get_layer("logits").kernel.numpy() != 0).all()
    assert (pruned.get_layer("dense").kernel.numpy() == 0).mean() >= 0.89
    assert set(context.metrics["sparsity_per_layer"]) == {"conv2", "dense"}


def test_a_layer_to_skip_that_is_not_there_is_refused(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune

    with pytest.raises(ConfigError, match=r"there is no layer 'logit', did you mean 'logits'\?\n  layers: .*conv1"):
        prune(bench.optimize(trained.dataset, trained.model), skip=("logit",))


@pytest.fixture
def odd_model(tensorflow: None, stripes_dataset: Dataset, bench: Bench, tmp_path: Path) -> Model:
    """A model with a layer of its own, which tensorflow-model-optimization does not know, and one without weights."""
    import tf_keras
    from tests.plugins.optimizers.odd_layers import Scale

    from modelyard_plugins.support.keras_files import save_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(2.0, name="twice"),
            Scale(name="scale"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="logits"),
        ]
    )
    save_keras(model, tmp_path / "model.keras")
    return bench.open_model(tmp_path, stripes_dataset, "tf_keras")


def test_layers_that_cannot_be_pruned_are_named_before_training(
    odd_model: Model, stripes_dataset: Dataset, bench: Bench
) -> None:
    from modelyard_plugins.optimizers.prune import prune

    with pytest.raises(ConfigError, match=r"cannot be pruned: 'scale' \(Scale\)\n(.|\n)*skip = \[\"scale\"\]"):
        prune(bench.optimize(stripes_dataset, odd_model))
    assert not bench.told


def test_a_model_with_such_layers_is_pruned_once_they_are_skipped(
    odd_model: Model, stripes_dataset: Dataset, bench: Bench
) -> None:
    from modelyard_plugins.optimizers.prune import prune

    context = bench.optimize(stripes_dataset, odd_model)
    prune(context, sparsity=0.7, epochs=1, skip=("scale",))
    assert list(context.metrics["sparsity_per_layer"]) == ["logits"]


def test_nothing_left_to_prune_is_refused(odd_model: Model, stripes_dataset: Dataset, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune

    with pytest.raises(ConfigError, match=r"no layer of .* has weights to be pruned"):
        prune(bench.optimize(stripes_dataset, odd_model), skip=("scale", "logits"))


def test_a_sparsity_that_was_not_reached_fails(trained: Trained) -> None:
    from modelyard_plugins.optimizers.prune import check_sparsity, reached
    from modelyard_plugins.support.keras_files import load_keras

    model = load_keras(trained.model.path)
    dense = model.get_layer("dense")
    kernel = dense.kernel.numpy()
    kernel[: len(kernel) // 4] = 0
    dense.kernel.assign(kernel)
    check_sparsity(model, ["dense"], 0.25)
    assert reached(model, ["dense"])["sparsity"] == np.mean(kernel == 0)
    with pytest.raises(StageFailed, match=r"'dense' reached a sparsity of 0\.250, not 0\.5(.|\n)*raise epochs"):
        check_sparsity(model, ["dense"], 0.5)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 21, 133, 4689])
def test_the_schedule_ends_within_the_steps_that_there_are(tensorflow: None, steps: int) -> None:
    from modelyard_plugins.optimizers.prune import _schedule

    for kind in ("polynomial", "constant"):
        now, sparsity = _schedule(kind, 0.5, steps)(np.arange(1, steps + 1))
        updates = np.broadcast_to(sparsity, steps)[now.numpy()]
        assert updates[-1] == pytest.approx(0.5)
        assert len(updates) <= 41


def test_2_by_4_keeps_two_zeros_in_every_four_along_the_input_channels(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune
    from modelyard_plugins.support.keras_files import load_keras

    context = bench.optimize(trained.dataset, trained.model)
    prune(context, pattern="2:4", epochs=1, batch_size=64, skip=("logits",))
    pruned = load_keras(context.out / "model.keras")
    for name in ("conv2", "dense"):
        kernel = pruned.get_layer(name).kernel.numpy()
        columns = np.moveaxis(kernel, -2, -1)
        assert columns.shape[-1] % 4 == 0
        zeros = (columns.reshape(-1, 4) == 0).sum(axis=1)
        assert (zeros == 2).all()
    assert (pruned.get_layer("logits").kernel.numpy() != 0).all()
    assert context.metrics["sparsity_per_layer"]["conv1"] == 0  # one input channel: no group of four


def test_2_by_4_goes_with_no_other_sparsity(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.prune import prune

    with pytest.raises(ConfigError, match=r"pattern = \"2:4\" has a sparsity of 0\.5, not 0\.8\n  leave sparsity out"):
        prune(bench.optimize(trained.dataset, trained.model), pattern="2:4", sparsity=0.8)


def test_2_by_4_is_refused_for_kernels_of_three_axes(tensorflow: None) -> None:
    import tf_keras

    from modelyard_plugins.optimizers.prune import prunable_layers

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input((8, 4)), layers.Conv1D(4, 3, name="conv"), layers.Flatten(), layers.Dense(3, name="logits")]
    )
    assert prunable_layers(model, ()) == ["conv", "logits"]
    with pytest.raises(ConfigError, match=r"'conv' \(Conv1D, whose kernel has 3 axes: .*\n  .*skip = \[\"conv\"\]"):
        prunable_layers(model, (), "2:4")
    assert prunable_layers(model, ("conv",), "2:4") == ["logits"]


def test_a_layer_that_lost_the_pattern_fails(trained: Trained) -> None:
    from modelyard_plugins.optimizers.prune import check_2_by_4
    from modelyard_plugins.support.keras_files import load_keras

    model = load_keras(trained.model.path)
    with pytest.raises(StageFailed, match=r"'dense' does not keep the pattern 2:4\n  .*skip = \[\"dense\"\]"):
        check_2_by_4(model, ["dense"])
