from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, Trained, open_model

from modelyard.artifacts import Dataset, Model
from modelyard.errors import ConfigError, StageFailed
from modelyard_plugins.optimizers.int8 import int8

if TYPE_CHECKING:
    from modelyard_plugins.optimizers.qat import Preserved

KERNELS = ("conv1/kernel", "conv2/kernel", "dense/kernel", "logits/kernel")


def kernels(model: Model) -> dict[str, np.ndarray]:
    from modelyard_plugins.support.keras.kernels import model_kernels
    from modelyard_plugins.support.keras.quantized import load_quantized
    from modelyard_plugins.support.keras_files import load_keras

    return model_kernels(load_quantized(model.path) if model.facts.format == "tf_keras_qat" else load_keras(model.path))


def converted(model: Model, dataset: Any, bench: Any, **params: Any) -> tuple[bytes, dict[str, Any]]:
    context = bench.optimize(dataset, model)
    int8(context, **params)
    return (context.out / "model.tflite").read_bytes(), context.metrics


def trained_for_int8(model: Model, dataset: Any, bench: Any, **params: Any) -> tuple[Model, dict[str, Any]]:
    from modelyard_plugins.optimizers.qat import qat

    context = bench.optimize(dataset, model)
    qat(context, **{"epochs": 1, "batch_size": 16, "learning_rate": 0.001, **params})
    return open_model(context.out, dataset, "tf_keras_qat"), context.metrics


@pytest.fixture(scope="module")
def clustered(pruned: Model, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The pruned model, clustered without losing its zeros."""
    from modelyard_plugins.optimizers.cluster import cluster

    context = Bench(tmp_path_factory.mktemp("clustered")).optimize(trained.dataset, pruned)
    cluster(context, clusters=8, preserve_sparsity=True, epochs=1, batch_size=32)
    return open_model(context.out, trained.dataset, "tf_keras")


@pytest.fixture(scope="module")
def quantized(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, dict[str, Any]]:
    return trained_for_int8(trained.model, trained.dataset, Bench(tmp_path_factory.mktemp("quantized")), epochs=2)


@pytest.fixture(scope="module")
def quantized_int8(
    quantized: tuple[Model, dict[str, Any]], trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[bytes, dict[str, Any]]]:
    """Return a function that converts the model that was trained for int8, once for each type that it takes."""
    bench = Bench(tmp_path_factory.mktemp("quantized-int8"))
    return cache(lambda io: converted(quantized[0], trained.dataset, bench, io=io))


@pytest.fixture(scope="module")
def preserved(
    clustered: Model, trained: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Model, dict[str, Any]]:
    """The pruned and clustered model, trained for int8 without losing either."""
    bench = Bench(tmp_path_factory.mktemp("preserved"))
    return trained_for_int8(clustered, trained.dataset, bench, preserve=("sparsity", "clusters"))


@pytest.fixture(scope="module")
def forgotten(clustered: Model, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The pruned and clustered model, trained for int8 without a thought for either."""
    return trained_for_int8(clustered, trained.dataset, Bench(tmp_path_factory.mktemp("forgotten")))[0]


def test_the_model_is_read_back_from_disk_with_its_ranges(
    quantized: tuple[Model, dict[str, Any]], trained: Trained
) -> None:
    from modelyard_plugins.support.keras.quantized import load_quantized, quantized_kernels

    model, metrics = quantized
    loaded = load_quantized(model.path)
    assert metrics["quantized_kernels"] == quantized_kernels(loaded) == 4
    ranges = {w.name.split("/")[-1] for layer in loaded.layers for w in layer.weights if "min" in w.name}
    assert any(name.startswith("kernel_min") for name in ranges)
    assert any(name.startswith("post_activation_min") for name in ranges)
    found = loaded.predict(trained.dataset.inputs("test"), verbose=0)
    assert (found.argmax(1) == trained.dataset.y("test")).mean() > 0.9


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_it_becomes_int8_with_the_learned_ranges_and_no_calibration(
    quantized_int8: Callable[[str], tuple[bytes, dict[str, Any]]], io: str
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    data, metrics = quantized_int8(io)
    assert "calibration_samples" not in metrics
    assert {kernel["dtype"] for kernel in metrics["kernels"].values()} == {"int8"}
    assert len(metrics["kernels"]) == 4
    interpreter = Interpreter(model_content=data)
    assert interpreter.get_input_details()[0]["dtype"] == np.dtype(io)
    floats = [t for t in interpreter.get_tensor_details() if t["dtype"] == np.float32]
    assert len(floats) <= (2 if io == "float32" else 0)


def test_the_integers_are_those_that_were_trained(
    quantized: tuple[Model, dict[str, Any]],
    quantized_int8: Callable[[str], tuple[bytes, dict[str, Any]]],
    trained: Trained,
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from modelyard_plugins.support.keras.quantized import load_quantized

    data, _ = quantized_int8("float32")
    wanted = load_quantized(quantized[0].path).predict(trained.dataset.inputs("test"), verbose=0)
    interpreter = Interpreter(model_content=data)
    interpreter.resize_tensor_input(0, (len(wanted), 8, 8, 1))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], trained.dataset.inputs("test"))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    step = interpreter.get_output_details()[0]["quantization"][0] or np.ptp(wanted) / 255
    assert np.abs(found - wanted).max() <= 8 * max(step, np.ptp(wanted) / 255)


@pytest.mark.thorough
def test_sparsity_is_preserved_if_asked(pruned: Model, forgotten: Model, trained: Trained, bench: Bench) -> None:
    before = kernels(pruned)
    model, metrics = trained_for_int8(pruned, trained.dataset, bench, preserve=("sparsity",))
    after = kernels(model)
    assert all((after[name][before[name] == 0] == 0).all() for name in KERNELS)
    assert metrics["sparsity"] >= 0.499
    assert (kernels(forgotten)["dense/kernel"] == 0).mean() < 0.4


@pytest.mark.thorough
def test_clusters_are_preserved_if_asked(clustered: Model, forgotten: Model, trained: Trained, bench: Bench) -> None:
    before = kernels(clustered)
    model, metrics = trained_for_int8(clustered, trained.dataset, bench, preserve=("clusters",))
    after = kernels(model)
    for name in ("dense/kernel", "logits/kernel"):
        assert 1 < len(np.unique(after[name])) <= len(np.unique(before[name])) <= 8
        assert metrics["unique_weights_per_kernel"][name] == len(np.unique(after[name]))
    assert len(np.unique(kernels(forgotten)["dense/kernel"])) > 100


@pytest.mark.thorough
def test_both_are_preserved_up_to_the_integers(
    clustered: Model, preserved: tuple[Model, dict[str, Any]], forgotten: Model, trained: Trained, bench: Bench
) -> None:
    before, after = kernels(clustered), kernels(preserved[0])
    assert all((after[name][before[name] == 0] == 0).all() for name in KERNELS)
    for name in ("dense/kernel", "logits/kernel"):
        assert 1 < len(np.unique(after[name])) <= len(np.unique(before[name])) <= 8
        assert preserved[1]["unique_weights_per_kernel"][name] == len(np.unique(after[name]))
    assert len(np.unique(kernels(forgotten)["dense/kernel"])) > 100
    data, figures = converted(preserved[0], trained.dataset, bench)
    assert figures["sparsity"] >= preserved[1]["sparsity"] >= 0.499
    assert min(kernel["unique_weights"] for kernel in figures["kernels"].values()) <= 8
    plain, _ = converted(forgotten, trained.dataset, bench)
    assert len(gzip.compress(data, 9)) < 0.8 * len(gzip.compress(plain, 9))


def test_what_is_not_there_cannot_be_preserved(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.qat import qat

    makes: dict[Preserved, str] = {"sparsity": "prune", "clusters": "cluster"}
    for what, optimizer in makes.items():
        with pytest.raises(ConfigError) as caught:
            qat(bench.optimize(trained.dataset, trained.model), preserve=(what,))
        assert f'put {{ use = "{optimizer}" }}' in str(caught.value)
    assert not bench.told


def test_a_skipped_layer_stays_in_float(trained: Trained, bench: Bench) -> None:
    model, metrics = trained_for_int8(trained.model, trained.dataset, bench, skip=("conv1", "logits"))
    assert metrics["quantized_kernels"] == 2
    context = bench.optimize(trained.dataset, model)
    int8(context)
    dtypes = {name: kernel["dtype"] for name, kernel in context.metrics["kernels"].items()}
    assert list(dtypes.values()).count("int8") == 2
    floats = [name for name, dtype in dtypes.items() if dtype == "float32"]
    assert len(floats) == 2
    assert all(name in context.warnings[0] for name in floats)


def network(*middle: Any, shape: Sequence[Any] = (8, 8, 1)) -> Any:
    import tf_keras

    layers = tf_keras.layers
    return tf_keras.Sequential(
        [layers.Input(shape), *middle, layers.Flatten(name="flat"), layers.Dense(3, name="logits")]
    )


def refused(model: Any) -> dict[str, str]:
    from modelyard_plugins.support.keras.layer_choice import not_skipped
    from modelyard_plugins.support.keras.quantized import refused_layers

    return refused_layers(not_skipped(model, (), "qat"))


def test_layers_that_can_be_trained_for_int8_are_taken(tensorflow: None) -> None:
    from tf_keras import layers

    model = network(
        layers.Conv2D(4, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.SeparableConv2D(4, 3),
        layers.MaxPooling2D(),
        layers.Dropout(0.1),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.Activation("relu"),
    )
    assert refused(model) == {}


def test_every_layer_that_cannot_be_quantized_is_named_before_training(
    tensorflow: None, stripes_dataset: Dataset, bench: Bench, tmp_path: Path
) -> None:
    from tf_keras import Sequential, layers

    from modelyard_plugins.optimizers.qat import qat
    from modelyard_plugins.support.keras_files import save_keras

    inner = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3)], name="inner")
    model = network(
        layers.BatchNormalization(name="first"),
        layers.Rescaling(2.0, name="scale"),
        inner,
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.BatchNormalization(name="behind"),
        layers.LayerNormalization(name="layer"),
        layers.Reshape((4, 16), name="rows"),
        layers.LSTM(4, return_sequences=True, name="lstm"),
    )
    found = refused(model)
    assert list(found) == ["first", "scale", "inner", "behind", "layer", "lstm"]
    assert "a model inside the model" in found["inner"]
    assert "not right behind a convolution" in found["behind"]
    save_keras(model, tmp_path / "model.keras")
    with pytest.raises(ConfigError) as caught:
        qat(bench.optimize(stripes_dataset, open_model(tmp_path, stripes_dataset, "tf_keras")), skip=("scale",))
    message = str(caught.value)
    assert message.startswith("qat: these layers cannot be quantized: 'first' (BatchNormalization that is not")
    assert 'skip = ["first", "scale", "inner", "behind", "layer", "lstm"]' in message
    assert not bench.told


def test_what_the_tool_itself_refuses_is_a_mistake_with_words(
    trained: Trained, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard_plugins.optimizers import qat as module

    monkeypatch.setattr(module, "refused_layers", lambda _: {})
    from tf_keras import layers

    from modelyard_plugins.support.keras.quantized import quantize

    model = network(layers.Rescaling(2.0, name="scale"))
    with pytest.raises(ConfigError, match=r"refuses .*: Layer scale:.* is not supported(.|\n)*\n  leave the layer"):
        quantize(model, ["scale", "flat", "logits"], module._scheme(()))


def test_refused_layers_can_be_skipped(stripes_dataset: Dataset, bench: Bench, tmp_path: Path) -> None:
    from tf_keras import layers

    from modelyard_plugins.support.keras_files import save_keras

    model = network(
        layers.BatchNormalization(name="first"),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.BatchNormalization(name="behind"),
    )
    save_keras(model, tmp_path / "model.keras")
    parent = open_model(tmp_path, stripes_dataset, "tf_keras")
    quantized, metrics = trained_for_int8(parent, stripes_dataset, bench, skip=("first", "behind"))
    assert metrics["quantized_kernels"] == 2
    with pytest.raises(StageFailed, match=r"0 of 2 kernels int8(.|\n)*\n  a layer behind one that qat skips"):
        converted(quantized, stripes_dataset, bench)


def test_a_layer_to_skip_that_is_not_there_is_refused(trained: Trained, bench: Bench) -> None:
    from modelyard_plugins.optimizers.qat import qat

    with pytest.raises(ConfigError, match=r"qat: skip: there is no layer 'conv_1', did you mean 'conv1'\?"):
        qat(bench.optimize(trained.dataset, trained.model), skip=("conv_1",))


def test_what_training_undid_fails() -> None:
    from modelyard_plugins.optimizers.qat import check_preserved

    before = {"a/kernel": np.array([[0.0, 1.0], [1.0, 0.0]])}
    check_preserved(before, before, ("sparsity", "clusters"))
    moved = {"a/kernel": np.array([[0.5, 1.0], [1.0, 0.0]])}
    with pytest.raises(StageFailed, match=r"1 of the weights of 'a/kernel' that were zero no longer are\n  .*\"a\""):
        check_preserved(before, moved, ("sparsity",))
    with pytest.raises(StageFailed, match=r"'a/kernel' holds 3 different weights, before it 2\n  .*skip = \[\"a\"\]"):
        check_preserved(before, moved, ("clusters",))
    check_preserved(before, moved, ())


def test_a_convolution_keeps_its_values_in_all_or_in_each_channel() -> None:
    from modelyard_plugins.optimizers.qat import check_preserved, is_clustered

    random = np.random.default_rng(0)
    values = random.normal(size=4)
    before = {"c/kernel": random.choice(values, (3, 3, 8, 4))}
    assert is_clustered(before["c/kernel"])
    assert not is_clustered(random.normal(size=(3, 3, 8, 4)))
    channelwise = np.stack([random.choice(random.normal(size=4), (3, 3, 8)) for _ in range(4)], axis=-1)
    assert is_clustered(channelwise)
    check_preserved(before, {"c/kernel": channelwise}, ("clusters",))
    with pytest.raises(StageFailed, match="different weights"):
        check_preserved(before, {"c/kernel": random.normal(size=(3, 3, 8, 4))}, ("clusters",))


def test_a_separable_convolution_is_followed_into_the_two_layers_it_becomes(
    stripes_dataset: Dataset, bench: Bench, tmp_path: Path
) -> None:
    from tf_keras import layers

    from modelyard_plugins.support.keras_files import save_keras

    model = network(layers.SeparableConv2D(4, 3, activation="relu", name="separable"))
    kernel = model.get_layer("separable").pointwise_kernel
    kernel.assign(kernel.numpy() * (np.arange(4) % 2))
    save_keras(model, tmp_path / "model.keras")
    parent = open_model(tmp_path, stripes_dataset, "tf_keras")
    _, metrics = trained_for_int8(parent, stripes_dataset, bench, preserve=("sparsity",))
    assert metrics["unique_weights_per_kernel"]["separable/pointwise_kernel"] == 3


@pytest.mark.thorough
def test_a_separable_convolution_stands_beside_layers_that_keras_named(
    stripes_dataset: Dataset, bench: Bench, tmp_path: Path
) -> None:
    import tf_keras
    from tf_keras import layers

    from modelyard_plugins.support.keras_files import save_keras

    tf_keras.backend.clear_session()  # the first layer without a name is conv2d again, as in the stage
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.SeparableConv2D(6, 3, activation="relu"),
            layers.SeparableConv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    assert [layer.name for layer in model.layers[:2]] == ["conv2d", "separable_conv2d"]
    save_keras(model, tmp_path / "model.keras")
    model, metrics = trained_for_int8(open_model(tmp_path, stripes_dataset, "tf_keras"), stripes_dataset, bench)

    assert {"conv2d/kernel", "separable_conv2d_1/pointwise_kernel"} <= metrics["unique_weights_per_kernel"].keys()
    assert metrics["quantized_kernels"] == 6
    assert [one["dtype"] for one in converted(model, stripes_dataset, bench)[1]["kernels"].values()] == ["int8"] * 6


def test_a_kernel_that_cannot_be_followed_fails() -> None:
    from modelyard_plugins.optimizers.qat import by_the_names_of

    before: dict[str, np.ndarray] = {"a/kernel": np.zeros((2, 2)), "b/kernel": np.zeros((2, 3))}
    after: dict[str, np.ndarray] = {"a/kernel": np.zeros((2, 2)), "new/kernel": np.ones((2, 3))}
    assert by_the_names_of(before, after)["b/kernel"].all()
    with pytest.raises(StageFailed, match=r"cannot tell what became of the kernels b/kernel\n  .*skip = \[\"b\"\]"):
        by_the_names_of(before, {"a/kernel": np.zeros((2, 2))})


_SCRIPT = """
import sys
from pathlib import Path
from modelyard.artifacts import Dataset, Model
from modelyard.contexts import OptimizeContext
from modelyard_plugins.optimizers.qat import qat
out = Path(sys.argv[1])
qat(OptimizeContext(out=out, project=out, cache=out, seed=0, progress=lambda *a, **k: None, log=lambda line: None,
                    dataset=Dataset.open(Path(sys.argv[2])), model=Model.open(Path(sys.argv[3]))),
    epochs=1, batch_size=16, learning_rate=0.001, preserve=("sparsity", "clusters"))
"""


@pytest.mark.thorough
def test_another_process_gives_the_same_bytes(
    clustered: Model, preserved: tuple[Model, dict[str, Any]], trained: Trained, tmp_path: Path
) -> None:
    from modelyard_plugins.support.tensorflow import TENSORFLOW

    env = {**os.environ, **TENSORFLOW["environment"], "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    folders = [str(p) for p in (tmp_path, trained.dataset.folder, clustered.folder)]
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *folders], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert preserved[0].path.read_bytes() == (tmp_path / "model.keras").read_bytes()
