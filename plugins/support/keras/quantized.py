"""Keras 2 models that are trained for quantization: how they are made, written and read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelyard.errors import ConfigError
from modelyard_plugins.support.keras_files import load_keras, save_keras

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@contextmanager
def quantize_scope() -> Iterator[None]:
    """Let layers be written and read that tensorflow-model-optimization has wrapped for quantization.

    Its QuantizeLayer makes its variables anew each time it is built, and reading builds it twice: for the `build_config`
    in the file, then with the model. Without that entry it is built once.
    """
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

    with tfmot.quantization.keras.quantize_scope():
        QuantizeLayer.get_build_config = lambda _: None
        try:
            yield
        finally:
            del QuantizeLayer.get_build_config


def save_quantized(model: Any, path: Path) -> None:
    """Write a quantization-aware model as a plain one: without what preserved its sparsity or clusters in training."""
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve.cluster_utils import (
        strip_clustering_cqat,
    )

    with quantize_scope():
        save_keras(strip_clustering_cqat(model), path)


def load_quantized(path: Path) -> Any:
    """Read a quantization-aware model, not compiled.

    Raises:
        DataError: the file is damaged, or holds a layer that is not known here.
    """
    with quantize_scope():
        return load_keras(path)


def quantized_kernels(model: Any) -> int:
    """Return how many weights of a quantization-aware model were trained for int8."""
    wrapped = [layer for layer in model.layers if hasattr(layer, "quantize_config")]
    return sum(len(one.quantize_config.get_weights_and_quantizers(one.layer)) for one in wrapped)


def skipped_layers(model: Any) -> list[str]:
    """Return the names of the layers of a quantization-aware model that were left as they are."""
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_config import OutputOnlyConfig
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

    others = [one for one in model.layers if not isinstance(one, QuantizeLayer | tf_keras.layers.InputLayer)]
    return [one.name for one in others if isinstance(getattr(one, "quantize_config", None), OutputOnlyConfig | None)]


def quantize(parent: Any, names: Collection[str], scheme: Any) -> Any:
    """Return `parent` with the layers `names` wrapped to be trained for int8, by a scheme of tensorflow-model-optimization.

    Raises:
        ConfigError: it refuses a layer.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    def annotate(layer: Any) -> Any:
        return tfmot.quantization.keras.quantize_annotate_layer(layer) if layer.name in names else layer

    _reserve_names(parent)
    try:
        annotated = tf_keras.models.clone_model(parent, clone_function=annotate)
        with tfmot.quantization.keras.quantize_scope(), _inputs_in_order():
            return tfmot.quantization.keras.quantize_apply(annotated, scheme)
    except (RuntimeError, ValueError) as exc:
        msg = (
            f"qat: tensorflow-model-optimization refuses {parent.name!r}: {str(exc).strip().splitlines()[0]}\n"
            "  leave the layer that it names out with skip"
        )
        raise ConfigError(msg) from exc


@contextmanager
def _inputs_in_order() -> Iterator[None]:
    """Let a concatenation that is wrapped for quantization keep the order of what it joins.

    tensorflow-model-optimization looks the layers up by their names and takes them in the order of the model's list, at whose
    end is what it has replaced, the inputs of the model for instance: the weights behind it would meet other values.
    """
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations.model_transformer import (
        ModelTransformer,
    )

    def in_order(self: Any, names: list[str]) -> list[Any]:
        found = {layer["config"]["name"]: layer for layer in as_listed(self, names)}
        return [found[name] for name in dict.fromkeys(names) if name in found]

    as_listed = ModelTransformer._get_layers  # noqa: SLF001
    ModelTransformer._get_layers = in_order  # noqa: SLF001
    try:
        yield
    finally:
        ModelTransformer._get_layers = as_listed  # noqa: SLF001


def _reserve_names(model: Any) -> None:
    """Let no layer that is made from now on be called, by Keras's counting, as one of `model` is.

    tensorflow-model-optimization splits a separable convolution into two layers without a name. Keras would call them
    `depthwise_conv2d` and `conv2d`, whatever the model's own layers are called, and their weights would be mixed up.

    Source: tf_keras, `backend.unique_object_name`: the first is `conv2d`, the next `conv2d_1`.
    """
    from tf_keras.src import backend

    numbers = backend.get_default_graph_uid_map()
    for layer in model.layers:
        name, _, number = layer.name.rpartition("_")
        if number.isdecimal():
            numbers["", name] = max(numbers["", name], int(number) + 1)
        numbers["", layer.name] = max(numbers["", layer.name], 1)


def refused_layers(layers: list[Any]) -> dict[str, str]:
    """Return the layers that cannot be trained for int8, and why."""
    return {layer.name: why for layer in layers if (why := _refusal(layer, {one.name for one in layers}))}


def _refusal(layer: Any, chosen: Collection[str]) -> str:
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_registry import (
        Default8BitQuantizeRegistry,
    )
    from tf_keras import Model, layers

    kind = type(layer).__name__
    if isinstance(layer, Model):
        return f"{kind}, a model inside the model"
    if isinstance(layer, layers.BatchNormalization):
        where = "not right behind a convolution or dense layer without activation"
        return "" if _can_be_folded(layer, chosen) else f"{kind} that is {where}"
    is_split = isinstance(layer, layers.SeparableConv1D | layers.SeparableConv2D)
    return "" if is_split or Default8BitQuantizeRegistry().supports(layer) else kind


def _can_be_folded(norm: Any, chosen: Collection[str]) -> bool:
    """Whether a batch normalization can be folded into the layer before it, which is in `chosen`."""
    from tf_keras import activations, layers

    before = norm.inbound_nodes[0].inbound_layers
    if isinstance(before, list) or before.name not in chosen:
        return False
    kinds = layers.Conv2D | layers.DepthwiseConv2D | layers.Dense | layers.SeparableConv1D | layers.SeparableConv2D
    return isinstance(before, kinds) and before.activation is activations.linear
