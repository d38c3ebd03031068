"""Export models of Keras 3 to other formats, the same model always as the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard_plugins.support.keras.flex import with_attributes_in_order
from modelyard_plugins.support.keras.inputs import named_inputs, output_names, type_of
from modelyard_plugins.support.onnx.export import write_export

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of `model` and of the models inside it, without those models themselves."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def modes(model: Any) -> set[str]:
    """Return how the layers of `model` are quantized: `int8`, `int4`, `float8` ...; empty for a float model."""
    return {mode for layer in leaves(model) if (mode := getattr(layer, "quantization_mode", None))}


def write_onnx(model: Any, path: Path) -> None:
    """Write `model` as ONNX: inputs and one output with names that stay, and a batch of any size.

    Raises:
        StageFailed: tf2onnx cannot convert it.
    """
    import numpy as np
    import onnx
    import tf2onnx  # noqa: F401 - Keras needs it for this format; missing, it is named

    taken = named_inputs(model)
    if not any(
        None in one.shape[1:] or type_of(one) == "string" for one in taken.values()
    ):  # else the symbolic tensors do
        taken = {name: np.zeros((1, *one.shape[1:]), one.dtype) for name, one in taken.items()}
    model(taken if len(taken) > 1 else next(iter(taken.values())))  # Keras exports only what was called

    def export() -> Any:
        model.export(path, format="onnx", verbose=False)
        return onnx.load(path)

    write_export(export, model.name, path, output_names(model))


def write_litert(model: Any, path: Path) -> None:
    """Write `model` as LiteRT, weights as they are.

    Raises:
        StageFailed: the converter cannot take a layer of the model.
    """
    import keras
    from tensorflow.lite.python.convert import ConverterError

    if len(model.outputs) > 1:  # of a list the file would know numbers alone
        named = dict(zip(output_names(model), model.outputs, strict=True))
        model = keras.Model(model.inputs, named, name=model.name)
    try:
        model.export(path, format="litert", verbose=False)
    except ConverterError as exc:
        msg = (
            f"the LiteRT converter refuses the model {model.name!r}: {str(exc).strip().splitlines()[0]}\n"
            "  replace the layer that the log names, or leave this model optimizer out"
        )
        raise StageFailed(msg) from exc
    path.write_bytes(with_attributes_in_order(path.read_bytes()))
