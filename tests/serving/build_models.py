"""Writes the models that the tests serve: `python -m tests.serving.build_models FOLDER`, in a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.facts import model_json
from tests.serving.stream_models import FACTS

SHAPE = (8, 8, 1)
CLASSES = 10
PREPROCESSING = {"scale": 1 / 16, "mean": [0.3], "std": [0.4]}


def main(folder: Path) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(7)
    calibration = normalized(rng.integers(0, 17, (64, *SHAPE)))

    def samples() -> Iterator[list[Any]]:
        for sample in calibration:
            yield [sample[None]]

    def convert(
        name: str, *, io: Any = None, int16: bool = False, quantize: bool = False, batch: Any = None, **facts: Any
    ) -> None:
        converter = tf.lite.TFLiteConverter.from_keras_model(build_network(tf, batch))
        if quantize:
            ops = tf.lite.OpsSet
            kind = (
                ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 if int16 else ops.TFLITE_BUILTINS_INT8
            )
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = samples
            converter.target_spec.supported_ops = [kind]
            converter.inference_input_type = converter.inference_output_type = io or tf.float32
        write(folder / name, converter.convert(), variant=name, **facts)

    convert("float32")
    convert("float32-raw", input_dtype="float32")
    convert("ranged", value_range=[0, 16])
    convert("batch-3", batch=3)
    convert("int8", quantize=True)
    convert("int8-io", quantize=True, io=tf.int8)
    convert("uint8-io", quantize=True, io=tf.uint8)
    convert("int16-io", quantize=True, int16=True, io=tf.int16)
    convert("int8-io-raw", quantize=True, io=tf.int8, input_dtype="float32")
    for name, batch_size in (("stream", None), ("stream-1", 1)):
        write_stream(tf, folder / name, batch_size)
    write_swapped(tf, folder / "swapped")
    write_texts(tf, folder / "texts")
    write_window(tf, folder / "window")


def build_network(tf: Any, batch: Any) -> Any:
    """A small convolutional network with the same weights every time."""
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input(batch_shape=(batch, *SHAPE)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(CLASSES, kernel_initializer="glorot_normal"),
        ]
    )


def normalized(raw: Any) -> Any:
    scaled = raw.astype(np.float32) * np.array(PREPROCESSING["scale"], np.float32)
    return (scaled - np.array(PREPROCESSING["mean"], np.float32)) / np.array(PREPROCESSING["std"], np.float32)


def write_stream(tf: Any, folder: Path, batch: int | None) -> None:
    """Write the model of `stream_models` as LiteRT has it."""
    specs = {"scale": (), "h": (2, batch, 3), "x": (batch, 4)}

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name) for name, shape in specs.items()])
    def step(scale: Any, h: Any, x: Any) -> dict[str, Any]:
        sums = h + x[:, 1:]
        return {"hn": sums, "y": scale * (x[:, :-1] + sums[0])}

    module = tf.Module()
    module.step = step
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, {"serving_default": step})
        model = tf.lite.TFLiteConverter.from_saved_model(place).convert()
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(model)
    facts = {"format": "tflite", "file": "model.tflite"} | FACTS
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def write_texts(tf: Any, folder: Path) -> None:
    """Write a model that takes a text and answers a text and a truth value."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def run(text: Any) -> dict[str, Any]:
        same = tf.equal(text, "hello")
        return {"same": same, "answer": tf.gather(tf.constant(["who?", "good day"]), tf.cast(same, tf.int32))}

    module = tf.Module()
    module.run = run
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, {"serving_default": run})
        model = tf.lite.TFLiteConverter.from_saved_model(place).convert()
    outputs = [{"name": name, "dtype": dtype, "shape": []} for name, dtype in (("answer", "bytes"), ("same", "bool"))]
    facts = {"format": "tflite", "file": "model.tflite", "task": "texts", "outputs": outputs}
    facts["inputs"] = [{"name": "text", "dtype": "bytes", "shape": []}]
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(model)
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def write_window(tf: Any, folder: Path) -> None:
    """Write a model that takes sounds of any length, 16 samples at least, and answers the loudest of all windows."""
    layers = tf.keras.layers
    kernel = {"kernel_initializer": "ones", "use_bias": False}
    net = tf.keras.Sequential([layers.Input((None, 1)), layers.Conv1D(1, 16, **kernel), layers.GlobalMaxPooling1D()])
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(net).convert())
    facts: dict[str, Any] = {"format": "tflite", "file": "model.tflite", "task": "windows"}
    facts["inputs"] = [{"name": "sound", "dtype": "float32", "shape": ["length", 1]}]
    facts["outputs"] = [{"name": "loudest", "dtype": "float32", "shape": [1]}]
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def write_swapped(tf: Any, folder: Path) -> None:
    """Write a model whose two outputs are of one shape, as `model.json` has them in either order."""

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")])
    def run(x: Any) -> dict[str, Any]:
        return {"note": tf.nn.softmax(x), "onset": tf.nn.sigmoid(x)}

    module = tf.Module()
    module.run = run
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, {"serving_default": run})
        model = tf.lite.TFLiteConverter.from_saved_model(place).convert()
    for order in ("note onset", "onset note"):
        outputs = [{"name": name, "shape": [4]} for name in order.split()]
        facts = {"format": "tflite", "file": "model.tflite", "task": "notes", "outputs": outputs}
        facts["inputs"] = [{"name": "x", "dtype": "float32", "shape": [4]}]
        own = folder / order.replace(" ", "-")
        own.mkdir(parents=True)
        (own / "model.tflite").write_bytes(model)
        (own / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def write(folder: Path, model: bytes, **facts: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(model)
    known = {
        "format": "tflite",
        "file": "model.tflite",
        "input_shape": SHAPE,
        "input_dtype": "uint8",
        "preprocessing": PREPROCESSING,
        "class_names": [str(number) for number in range(CLASSES)],
        "output": "logits",
        "sha256": "0f" * 32,
        "accuracy": 0.5,
    }
    (folder / "model.json").write_text(json.dumps(model_json(**{**known, **facts})), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
