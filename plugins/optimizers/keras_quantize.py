"""The model optimizer `keras-quantize`: Keras 3's own quantization of dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from modelyard import hookimpl
from modelyard.artifacts import format_file
from modelyard.errors import ConfigError, StageFailed, did_you_mean, listing
from modelyard_plugins.support.keras.inputs import given
from modelyard_plugins.support.keras.keras3 import KERAS, start
from modelyard_plugins.support.keras.keras3_export import leaves
from modelyard_plugins.support.keras.keras3_files import load_keras3, save_keras3

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard.contexts import OptimizeContext
    from modelyard.hookspecs import RegisterOptimizer


_WHY = "Keras up to 3.15 saves such a layer without its zero points, so that the model cannot be read again"
_INSTEAD = (
    'for 4-bit weights take mode = "int4"; to calibrate on the training split, quantize after the export: '
    "onnx-static behind keras-onnx, or recipe static_wi8_ai8 of edge-quantize behind keras-litert"
)
_UNSAVED = (_WHY, _INSTEAD)
"""Source: Keras 3.15.1, `Dense.save_own_variables`, which leaves `kernel_zero` out; mended by keras-team/keras pull request 23321."""

Mode = Annotated[Literal["int8", "int4", "float8"], Meta(extra={"refused": {"gptq": _UNSAVED, "awq": _UNSAVED}})]


def keras_quantize(context: OptimizeContext, *, mode: Mode = "int8", skip: tuple[str, ...] = ()) -> None:
    """Quantize the dense and embedding layers of a Keras 3 model; Keras quantizes no others.

    The result cannot become LiteRT; `keras-onnx` and `keras-saved-model` take it.

    Args:
        context: the parent model.
        mode: int8 weights and activations; int4 weights; or float8, which keeps weights in float32 and only computes
            as float8 hardware would.
        skip: names of layers to leave as they are.
    """
    start(context.seed)
    model = load_keras3(context.model.path)
    _check_skip(model, skip)
    _check_float(model, context)
    _quantize(model, mode, skip)
    _report(model, skip, context)
    target = context.out / format_file("keras_quantized")
    save_keras3(model, target)
    _check_read(model, target, context)
    context.metrics["size_bytes"] = target.stat().st_size
    if target.stat().st_size >= context.model.path.stat().st_size:
        context.warn(f"quantized to {mode}, the model's file is not smaller than before")


def _quantize(model: Any, mode: str, skip: tuple[str, ...]) -> None:
    """Quantize in place, but for what is inside of other layers, which Keras would quantize, too.

    An attention makes its layers anew, in float, when the file is read; TimeDistributed calls what it holds as if it were
    float still, so that its answers are wrong. What has no weights, as the table of a text vectorization, need not be built.

    Source: Keras 3.15.1, `Model.quantize`, `MultiHeadAttention.build`, `TimeDistributed.call`, `Layer.quantized_call`.
    """
    import warnings

    chosen = {id(layer) for layer in leaves(model) if layer.weights and layer.name not in skip}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of each layer that it passes over; `_report` says it once
        model.quantize(mode, filters=lambda layer: id(layer) in chosen)


def _check_skip(model: Any, skip: tuple[str, ...]) -> None:
    known = [layer.name for layer in leaves(model)]
    for name in skip:
        if name not in known:
            msg = (
                f"[tool.modelyard.variants]: keras-quantize: skip: there is no layer {name!r}"
                f"{did_you_mean(name, known)}\n  layers: {listing(known)}"
            )
            raise ConfigError(msg)


def _check_float(model: Any, context: OptimizeContext) -> None:
    done = [layer.name for layer in leaves(model) if getattr(layer, "quantization_mode", None)]
    if done:
        msg = (
            f"{context.model.path}: the model is quantized already: {', '.join(done)}\n"
            "  quantize once in a chain: leave out one of its model optimizers"
        )
        raise StageFailed(msg)


def _report(model: Any, skip: tuple[str, ...], context: OptimizeContext) -> None:
    """Say which layers were quantized and which were left.

    Raises:
        StageFailed: none was quantized.
    """
    weighted = [layer for layer in leaves(model) if layer.weights]
    done = [layer.name for layer in weighted if getattr(layer, "quantization_mode", None)]
    left = [layer for layer in weighted if layer.name not in done]
    if not done:
        msg = (
            f"keras-quantize: no layer of {model.name!r} was quantized: Keras takes Dense, EinsumDense and Embedding only\n"
            f"  layers with weights: {_named(left)}; to quantize others, export with keras-onnx or "
            "keras-litert and quantize there"
        )
        raise StageFailed(msg)
    context.log(f"quantized: {', '.join(done)}")
    unable = [layer for layer in left if layer.name not in skip]
    if unable:
        context.warn(f"Keras cannot quantize {_named(unable)}: left in float32")
    context.metrics.update(layers_quantized=len(done), layers_float32=len(left))


def _named(layers: Sequence[Any]) -> str:
    return ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in layers) or "(none)"


def _check_read(model: Any, path: Path, context: OptimizeContext) -> None:
    """Check that what was written answers a sample as `model` does. One that answers at random has no such answer.

    Raises:
        StageFailed: it answers otherwise.
    """
    facts = context.model.facts
    if facts.keeps or facts.fed:  # a sample is not all that it takes
        return
    sample = given(facts.inputs, context.dataset.tensors("test", slice(0, 1)))
    right, again, read = (_answers(one, sample) for one in (model, model, load_keras3(path)))
    if _alike(right, again) and not _alike(right, read):
        msg = (
            f"keras-quantize: the model {model.name!r} answers otherwise once it is written and read again: Keras does not save all of it\n"
            "  leave layers out with skip, or quantize after the export: onnx-static behind keras-onnx"
        )
        raise StageFailed(msg)


def _answers(model: Any, sample: Any) -> list[NDArray[Any]]:
    import keras
    import numpy as np

    return [
        np.asarray(one)
        for one in keras.tree.flatten(model(keras.tree.map_structure(keras.ops.convert_to_tensor, sample)))
    ]


def _alike(some: list[NDArray[Any]], others: list[NDArray[Any]]) -> bool:
    import numpy as np

    pairs = zip(some, others, strict=True)
    return all(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True) for one, other in pairs)


@hookimpl
def modelyard_register_optimizers(register: RegisterOptimizer) -> None:
    """Register the model optimizer."""
    register("keras-quantize", keras_quantize, accepts=("keras",), produces="keras_quantized", **KERAS)
