"""A model that keeps a state from step to step, written by hand, and what it answers, computed by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FACTS: dict[str, Any] = {
    "task": "streams",
    "inputs": [{"name": "sound", "dtype": "float32", "shape": ["time", 3], "tensor": "x", "overlap": 1}],
    "outputs": [{"name": "level", "dtype": "float32", "shape": ["time", 3], "tensor": "y"}],
    "states": [
        {"tensor": "h", "source": "hn", "dtype": "float32", "shape": [2, 3], "batch_axis": 1, "initial": 0.5},
    ],
    "looped": True,
    "constants": [{"tensor": "scale", "dtype": "float32", "value": 2.0}],
}
"""One step takes `x`, 4 numbers, the first of which is the last of the step before, and the sums so far twice, `h`."""


def levels(streams: np.ndarray, initial: float = 0.5) -> np.ndarray:
    """Return what the model answers to streams of the shape `(N, time, 3)`."""
    sums = np.full((len(streams), 3), initial, np.float32)
    last, found = np.zeros((len(streams), 1), np.float32), []
    for step in np.moveaxis(streams, 1, 0):
        joined = np.concatenate([last, step], axis=1)
        sums, last = sums + step, step[:, -1:]
        found.append(2 * (joined[:, :-1] + sums))
    return np.stack(found, axis=1)


def streams(count: int, steps: int, seed: int = 1) -> np.ndarray:
    """Return streams for the model, float32, shape `(count, steps, 3)`."""
    return np.random.default_rng(seed).normal(size=(count, steps, 3)).astype(np.float32)


def write_stream(folder: Path, batch: int | str = "n", **facts: Any) -> Path:
    """Write the model; `batch` is the length of its axis of the batch, which is the second of the state."""
    import onnx

    folder.mkdir(parents=True)
    onnx.save(stream_model(batch), folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps({"format": "onnx", "file": "model.onnx"} | FACTS | facts))
    return folder


def stream_model(batch: int | str = "n") -> Any:
    """Return the model as an `onnx.ModelProto`."""
    from onnx import TensorProto, helper, numpy_helper

    def tensor(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    numbers = {"zero": [0], "one": [1], "three": [3], "four": [4]}
    brought = [numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()]
    brought.append(numpy_helper.from_array(np.array(0), "first"))
    nodes = [
        helper.make_node("Slice", ["x", "one", "four", "one"], ["new"]),
        helper.make_node("Slice", ["x", "zero", "three", "one"], ["old"]),
        helper.make_node("Add", ["h", "new"], ["hn"]),
        helper.make_node("Gather", ["hn", "first"], ["sums"]),
        helper.make_node("Add", ["old", "sums"], ["both"]),
        helper.make_node("Mul", ["both", "scale"], ["y"]),
    ]
    takes = [tensor("scale"), tensor("h", 2, batch, 3), tensor("x", batch, 4)]
    answers = [tensor("hn", 2, batch, 3), tensor("y", batch, 3)]
    graph = helper.make_graph(nodes, "stream", takes, answers, brought)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CACHE: dict[str, Any] = {
    "task": "streams",
    "inputs": [{"name": "sound", "dtype": "float32", "shape": ["chunk", 3], "tensor": "x"}],
    "outputs": [{"name": "level", "dtype": "float32", "shape": ["chunk", 3], "tensor": "y"}],
    "states": [
        {"tensor": "past", "source": "present", "dtype": "float32", "shape": ["past", 3]},
        {"tensor": "pairs.before", "source": "pairs.after", "dtype": "float32", "shape": [3, ""], "batch_axis": 1},
    ],
}
"""What takes chunks of a stream, and keeps all of it, like a decoder's keys and values: its states grow with each step."""


def means(streams: np.ndarray) -> np.ndarray:
    """Return what the model with a cache answers to streams of the shape `(N, time, 3)` that come as one chunk: the mean of all so far."""
    return np.broadcast_to(streams.mean(axis=1, keepdims=True), streams.shape)


def write_cache(folder: Path, batch: int | str = "n", **facts: Any) -> Path:
    """Write the model that keeps all of a stream, once as it is, and once, transposed, with the axis of the batch in the middle."""
    import onnx

    folder.mkdir(parents=True)
    onnx.save(cache_model(batch), folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps({"format": "onnx", "file": "model.onnx"} | CACHE | facts))
    return folder


def cache_model(batch: int | str = "n", later: str = "all") -> Any:
    """Return the model with a cache as an `onnx.ModelProto`; `later` is what it calls the axis that has grown."""
    from onnx import TensorProto, helper

    def tensor(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Concat", ["past", "x"], ["present"], axis=1),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[2, 0, 1]),
        helper.make_node("Concat", ["pairs.before", "turned"], ["pairs.after"], axis=2),
        helper.make_node("Transpose", ["pairs.after"], ["back"], perm=[1, 2, 0]),
        helper.make_node("Sum", ["present", "back"], ["twice"]),
        helper.make_node("ReduceMean", ["twice"], ["mean"], axes=[1]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Expand", ["mean", "shape"], ["wide"]),
        helper.make_node("Div", ["wide", "two"], ["y"]),
    ]
    two = helper.make_tensor("two", TensorProto.FLOAT, (), [2.0])
    takes = [tensor("x", batch, "chunk", 3), tensor("past", batch, "past", 3), tensor("pairs.before", 3, batch, "past")]
    answers = [
        tensor("y", batch, "chunk", 3),
        tensor("present", batch, later, 3),
        tensor("pairs.after", 3, batch, later),
    ]
    graph = helper.make_graph(nodes, "cache", takes, answers, [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
