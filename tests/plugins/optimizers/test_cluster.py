from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained
from tests.shared import usual

from modelyard.artifacts import Dataset, Model
from modelyard.errors import ConfigError, StageFailed

if TYPE_CHECKING:
    from modelyard_plugins.optimizers.cluster import Initialization

KERNELS = ("conv1", "conv2", "dense", "logits")


def kernels(folder: Path) -> dict[str, np.ndarray]:
    from modelyard_plugins.support.keras_files import load_keras

    model = load_keras(folder / "model.keras")
    return {name: model.get_layer(name).kernel.numpy() for name in KERNELS}


@pytest.mark.parametrize("initialization", usual(["linear", "kmeans++", "density", "random"], 1))
def test_every_kernel_holds_no_more_values_than_asked_for(
    trained: Trained, bench: Bench, initialization: Initialization
) -> None:
    from modelyard_plugins.optimizers.cluster import cluster

    context = bench.optimize(trained.dataset, trained.model)
    cluster(context, clusters=8, initialization=initialization, epochs=1, batch_size=64)
    found = {name: len(np.unique(kernel)) for name, kernel in kernels(context.out).items()}
    assert all(1 < count <= 8 for count in found.values())
    assert context.metrics["unique_weights_per_kernel"] == found
    assert context.metrics["unique_weights"] == max(found.values())


def test_it_compresses_and_still_knows_the_classes(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.cluster import cluster
    from modelyard_plugins.support.keras_files import load_keras

    context = bench.optimize(trained.dataset, trained.model)
    cluster(context, clusters=16, epochs=1, batch_size=16)
    data = (context.out / "model.keras").read_bytes()
    assert len(gzip.compress(data)) < len(gzip.compress(trained.model.path.read_bytes())) * 0.75
    found = load_keras(context.out / "model.keras").predict(trained.dataset.inputs("test"), verbose=0)
    assert (found.argmax(1) == trained.dataset.y("test")).mean() > 0.9


@pytest.mark.thorough
def test_each_channel_of_a_convolution_has_values_of_its_own_if_asked(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.cluster import cluster

    context = bench.optimize(trained.dataset, trained.model)
    cluster(context, clusters=4, per_channel=True, epochs=1, batch_size=64)
    found = kernels(context.out)
    channels = [len(np.unique(found["conv2"][..., channel])) for channel in range(found["conv2"].shape[-1])]
    assert max(channels) <= 4 < len(np.unique(found["conv2"]))
    assert len(np.unique(found["dense"])) <= 4


def test_a_convolution_without_a_bias_is_clustered_by_channel(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench, tmp_path: Path
) -> None:
    import tf_keras

    from modelyard_plugins.optimizers.cluster import cluster
    from modelyard_plugins.support.keras_files import load_keras, save_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False, name="conv1"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(4, 3, use_bias=False, name="conv2"),
            layers.Conv2D(4, (1, 2), use_bias=False, name="few"),
            layers.Flatten(),
            layers.Dense(3, name="logits"),
        ]
    )
    save_keras(model, tmp_path / "model.keras")
    context = bench.optimize(stripes_dataset, bench.open_model(tmp_path, stripes_dataset, "tf_keras"))
    cluster(context, clusters=8, initialization="kmeans++", per_channel=True, epochs=1, batch_size=64)
    clustered = load_keras(context.out / "model.keras")
    for name, weights in (("conv1", 9), ("conv2", 36), ("few", 8)):
        channels = clustered.get_layer(name).kernel.numpy().reshape(-1, 4).T
        assert channels.shape[1] == weights
        assert all(1 < len(np.unique(channel)) <= 8 for channel in channels)


@pytest.mark.thorough
def test_zeros_stay_zero_if_asked(pruned: Model, trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.cluster import cluster

    before = kernels(pruned.folder)
    context = bench.optimize(trained.dataset, pruned)
    cluster(context, clusters=8, preserve_sparsity=True, epochs=1, batch_size=64)
    after = kernels(context.out)
    for name in KERNELS:
        assert (after[name][before[name] == 0] == 0).all()
        assert len(np.unique(after[name])) <= 8
    assert context.metrics["sparsity"] >= 0.5 - 1e-3
    plain = bench.optimize(trained.dataset, pruned)
    cluster(plain, clusters=8, epochs=1, batch_size=64)
    assert plain.metrics["sparsity"] != context.metrics["sparsity"]


def test_zeros_can_only_stay_where_there_are_some(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.cluster import cluster

    with pytest.raises(ConfigError, match=r"has no weight that is zero\n  put \{ use = \"prune\" \} before it"):
        cluster(bench.optimize(trained.dataset, trained.model), preserve_sparsity=True)
    assert not bench.told


def test_a_skipped_layer_keeps_its_weights_apart(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.cluster import cluster

    context = bench.optimize(trained.dataset, trained.model)
    cluster(context, clusters=4, epochs=1, batch_size=64, skip=("dense",))
    assert len(np.unique(kernels(context.out)["dense"])) > 100
    assert "dense" not in context.metrics["unique_weights_per_kernel"]
    with pytest.raises(ConfigError, match=r"there is no layer 'densee', did you mean 'dense'\?"):
        cluster(bench.optimize(trained.dataset, trained.model), skip=("densee",))


def test_every_layer_that_cannot_be_clustered_is_named_before_training(tensorflow: None) -> None:
    import tf_keras

    from modelyard_plugins.optimizers.cluster import clusterable_weights

    layers = tf_keras.layers
    inner = tf_keras.Sequential([layers.Input((8,)), layers.Dense(8)], name="inner")
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8)),
            layers.Rescaling(2.0),
            layers.LSTM(8, name="lstm"),
            layers.BatchNormalization(name="norm"),
            inner,
            layers.PReLU(name="prelu"),
            layers.Dense(3, name="logits"),
        ]
    )
    with pytest.raises(
        ConfigError, match=r"clustered: 'inner' \(Sequential\), 'prelu' \(PReLU\)\n  .*skip = \[\"inner\", \"prelu\"\]"
    ):
        clusterable_weights(model, ())
    assert clusterable_weights(model, ("inner", "prelu")) == {"lstm": [0, 1], "logits": [0]}
    with pytest.raises(
        ConfigError, match=r"no layer of .* has weights to be clustered\n  layers: .*skipped: inner, prelu"
    ):
        clusterable_weights(model, ("inner", "prelu", "lstm", "logits"))


@pytest.mark.thorough
def test_an_lstm_is_clustered_in_both_kernels(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench, tmp_path: Path
) -> None:
    import tf_keras

    from modelyard_plugins.optimizers.cluster import cluster
    from modelyard_plugins.support.keras_files import load_keras, save_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [layers.Input((8, 8, 1)), layers.Reshape((8, 8)), layers.LSTM(8, name="lstm"), layers.Dense(3, name="logits")]
    )
    save_keras(model, tmp_path / "model.keras")
    context = bench.optimize(stripes_dataset, bench.open_model(tmp_path, stripes_dataset, "tf_keras"))
    cluster(context, clusters=4, epochs=1, batch_size=64)
    kernel, recurrent, _ = load_keras(context.out / "model.keras").get_layer("lstm").get_weights()
    assert len(np.unique(kernel)) <= 4
    assert len(np.unique(recurrent)) <= 4


def test_more_values_than_allowed_fail() -> None:
    from modelyard_plugins.optimizers.cluster import check_clusters

    kernel = np.array([[0.0, 1.0], [2.0, 3.0]])
    check_clusters({"a": kernel}, 2, {"a"})
    with pytest.raises(StageFailed, match=r"'a' holds 4 different weights, not 2 at most\n  .*skip = \[\"a\"\]"):
        check_clusters({"a": kernel}, 2, set())


def test_a_layer_that_the_tool_silently_drops_is_caught(
    trained: Trained, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

    from modelyard_plugins.optimizers.cluster import cluster

    monkeypatch.setattr(experimental, "cluster_weights", lambda *_, **__: None)
    with pytest.raises(StageFailed, match=r"does not take the layer 'dense' \(.*\n  .*skip = \[\"dense\"\]"):
        cluster(bench.optimize(trained.dataset, trained.model))
