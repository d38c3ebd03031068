"""What a model's file shows of itself, for the formats that modelyard's own components write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl

if TYPE_CHECKING:
    from modelyard.artifacts import FileFacts, Model


@hookimpl
def modelyard_read_model_file(model: Model) -> FileFacts | None:
    """Read the file of a known format. One that cannot be read shows nothing: the next to open it says what is wrong."""
    if model.facts.format in ("tf_keras", "tf_keras_qat", "keras", "keras_quantized"):
        from modelyard_plugins.support.keras.facts import keras_facts

        return keras_facts(model.path)
    if model.facts.format == "tf_saved_model":
        from modelyard_plugins.support.keras.brought_saved_model import brought_facts

        return brought_facts(model.path)
    if model.facts.format == "onnx":
        from modelyard_plugins.support.onnx.facts import onnx_facts

        return onnx_facts(model.path)
    if model.facts.format == "tflite":
        from modelyard_plugins.support.litert.facts import litert_facts

        return litert_facts(model.path)
    if model.facts.format in ("torch", "torch_int8"):
        from modelyard_plugins.support.torch.facts import torch_facts

        return torch_facts(model.path)
    return None
