"""What becomes of a trained model on the way to a runtime: the chains of components that tests of whole roads share."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import pytest

Step = tuple[str, dict[str, Any]]


class Chain(NamedTuple):
    """What becomes of a trained model: its trainer, the model optimizers behind it, and the runtime of what is left."""

    trainer: str
    steps: tuple[Step, ...]
    runtime: str

    @property
    def id(self) -> str:
        return "-".join((self.trainer, *(name for name, _ in self.steps)))


FORMATS = {
    "tensorflow": "tf_keras", "keras": "keras", "torch": "torch", "keras_quantize": "keras_quantized",
    "qat": "tf_keras_qat", "prune": "tf_keras", "cluster": "tf_keras", "fine_tune": "tf_keras", "float32": "tflite",
    "int8": "tflite", "keras_litert": "tflite", "edge_quantize": "tflite", "tf_keras_onnx": "onnx",
    "keras_onnx": "onnx", "torch_onnx": "onnx", "onnx_static": "onnx", "onnx_dynamic": "onnx",
    "torch_quantize": "torch_int8", "torch_prune": "torch", "torch_fine_tune": "torch",
    "saved_model": "saved_model", "keras_saved_model": "saved_model",
}  # fmt: skip
"""What each trainer and model optimizer writes."""
FRAMEWORKS = [
    pytest.param("tensorflow", marks=pytest.mark.tensorflow),
    pytest.param("keras", marks=[pytest.mark.tensorflow, pytest.mark.thorough]),
    pytest.param("torch", marks=[pytest.mark.torch, pytest.mark.thorough]),
]


def keras_of(trainer: str) -> Any:
    """Return the Keras that `trainer` trains with: Keras 3, or the older one of TensorFlow."""
    return pytest.importorskip("keras" if trainer == "keras" else "tf_keras")


def component(name: str) -> Any:
    """Return the module of the built-in component `name`, such as `optimizers.int8`."""
    return importlib.import_module(f"modelyard_plugins.{name}")
