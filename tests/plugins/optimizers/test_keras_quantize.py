"""Keras's quantization of models with layers inside of others, which are left as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugins.conftest import Bench, no_progress
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits
from modelyard.contexts import OptimizeContext
from modelyard.errors import StageFailed

if TYPE_CHECKING:
    from modelyard_plugins.optimizers.keras_quantize import Mode

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def series(tmp_path: Path) -> Dataset:
    """Samples of 6 steps with 8 numbers each, in two classes."""
    x, y = np.random.default_rng(0).normal(size=(40, 6, 8)).astype(np.float32), np.arange(40) % 2
    (tmp_path / "series").mkdir()
    write_dataset(Splits(x[:30], y[:30], x[30:], y[30:], ("a", "b")), tmp_path / "series", progress=no_progress)
    return Dataset.open(tmp_path / "series")


def context_of(model: Any, series: Dataset, bench: Bench, folder: Path) -> OptimizeContext:
    from modelyard_plugins.support.keras.keras3_files import save_keras3

    save_keras3(model, folder / "model.keras")
    return bench.optimize(series, bench.open_model(folder, series, "keras"))


def network() -> Any:
    """Return a network with a model inside, and with an attention and a wrapper, which hold further layers."""
    import keras

    layers = keras.layers
    steps = keras.Input((6, 8))
    inner_steps = keras.Input((6, 8))
    attended = layers.MultiHeadAttention(2, 4, name="attend")(inner_steps, inner_steps)
    inner = keras.Model(inner_steps, layers.Dense(16, name="wide")(attended), name="inner")
    each = layers.TimeDistributed(layers.Dense(8), name="each")(inner(steps))
    return keras.Model(steps, layers.Dense(2, name="logits")(layers.Flatten()(each)), name="network")


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_what_is_inside_of_other_layers_is_left(
    mode: Mode, series: Dataset, bench: Bench, tmp_path: Path, tensorflow: None
) -> None:
    from modelyard_plugins.optimizers.keras_quantize import keras_quantize
    from modelyard_plugins.support.keras.keras3_export import leaves
    from modelyard_plugins.support.keras.keras3_files import load_keras3

    float32 = network()
    context = context_of(float32, series, bench, tmp_path)
    keras_quantize(context, mode=mode)

    model = load_keras3(context.out / "model.keras")
    quantized = {layer.name for layer in leaves(model) if getattr(layer, "quantization_mode", None) == mode}
    assert quantized == {"wide", "logits"}
    assert (context.metrics["layers_quantized"], context.metrics["layers_float32"]) == (2, 2)
    left = "cannot quantize attend (MultiHeadAttention), each (TimeDistributed): left in float32"
    assert any(left in line for line in context.warnings)
    x = series.inputs("test")
    right, answer = np.asarray(float32(x)), np.asarray(model(x))
    assert 0 < np.abs(answer - right).max() < 0.5 * right.std()


def test_a_model_that_answers_otherwise_once_it_is_read_is_refused(
    series: Dataset, bench: Bench, tmp_path: Path, tensorflow: None
) -> None:
    import keras

    from modelyard_plugins.optimizers.keras_quantize import keras_quantize

    @keras.saving.register_keras_serializable("modelyard-tests")
    class Project(keras.layers.Layer):
        """Keeps what it drew to itself, so that each one that is read from the file has other numbers."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.drawn = np.random.default_rng().normal(size=(8, 4)).astype(np.float32)

        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, self.drawn)

    model = keras.Sequential(
        [keras.Input((6, 8)), Project(), keras.layers.Flatten(), keras.layers.Dense(2)], name="drawn"
    )
    with pytest.raises(StageFailed, match=r"'drawn' answers otherwise once it is written .*\n  leave layers out"):
        keras_quantize(context_of(model, series, bench, tmp_path))
