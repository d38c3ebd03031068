"""What the files of an artifact are called."""

from __future__ import annotations

FORMAT_FILES = {
    "tf_keras": "model.keras",
    "tf_keras_qat": "model.keras",
    "keras": "model.keras",
    "keras_quantized": "model.keras",
    "tflite": "model.tflite",
    "onnx": "model.onnx",
    "saved_model": "saved_model",
    "tf_saved_model": "saved_model",
    "torch": "model.pt2",
    "torch_int8": "model.pt2",
}
"""The file, or folder, that holds a model of each known format; any other format `f` uses `model.f`.

A `saved_model` is a TensorFlow SavedModel that clients can send raw samples to, whatever made it: its signature
`serving_default` takes one tensor, `input` (raw samples in the data set's dtype, shape `(N, *input_shape)`, N free), and
answers one, which is called as the data set's answer is, for instance `probabilities` (float32, shape `(N, classes)`). Several
inputs are called as the data set calls them.
Preprocessing and activation are part of its graph, so its `model.json` is that of `self_contained`. `modelyard_plugins.support.keras.saved_model` writes one.
A `tf_saved_model` is one that somebody brought: it takes prepared samples and answers what its own signature says.
"""

ONLY_INPUT = "input"
"""What the input is called where a data set gives it no name."""


def samples_file(split: str, name: str) -> str:
    """Return the name of the file that holds the raw samples of `split` for the input `name`."""
    return f"{split}_x.npy" if name == ONLY_INPUT else f"{split}_x.{name}.npy"


def sent_file(split: str, name: str) -> str:
    """Return the beginning of the names of the files that hold what clients send for the input `name`, of a test split."""
    return f"{split}_sent.{name}"


def slice_file(column: str, split: str = "test") -> str:
    """Return the name of the file that says of what each sample of a test split is."""
    return f"{split}_slice.{column}.npy"


def format_file(model_format: str) -> str:
    """Return the name of the file that holds a model of `model_format`."""
    return FORMAT_FILES.get(model_format, f"model.{model_format}")


def is_single_name(name: str) -> bool:
    """Return whether `name` stays in the folder that it is looked up in."""
    return name not in ("", ".", "..") and not {"/", "\0"} & set(name)
