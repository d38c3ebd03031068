"""Models of several named tensors, written by hand, and what they answer, computed by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

NOTES_FACTS: dict[str, Any] = {
    "format": "onnx",
    "file": "model.onnx",
    "task": "notes",
    "inputs": [
        {"name": "ids", "dtype": "int64", "shape": ["tokens"], "tensor": "i", "value_range": [0, 99]},
        {"name": "weights", "dtype": "float32", "shape": ["tokens", 2], "tensor": "w"},
    ],
    "outputs": [
        {"name": "onset", "dtype": "float32", "shape": [2], "labels": ["left", "right"], "tensor": "Call:1"},
        {"name": "note", "dtype": "float32", "shape": [2], "tensor": "Call:0"},
        {"name": "scaled", "dtype": "float32", "shape": ["tokens", 2]},
        {"name": "count", "dtype": "int64", "shape": []},
    ],
}
"""The file has its tensors in another order, and `note` and `onset` are of one shape: only their names tell them apart."""

TEXTS_FACTS: dict[str, Any] = {
    "format": "onnx",
    "file": "model.onnx",
    "task": "texts",
    "inputs": [{"name": "text", "dtype": "bytes", "shape": []}],
    "outputs": [
        {"name": "kind", "dtype": "int64", "shape": []},
        {"name": "answer", "dtype": "bytes", "shape": []},
    ],
}
WORDS = {"hello": (1, "good day"), "adieu": (2, "until then"), "": (3, "silence")}


def write_notes(folder: Path, **facts: Any) -> Path:
    """Write a model of two inputs of unlike types, of one length that varies, and of four outputs."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["f", "two"], ["u"]),
        helper.make_node("Mul", ["w", "u"], ["scaled"]),
        helper.make_node("ReduceSum", ["scaled", "one"], ["Call:1"], keepdims=0),
        helper.make_node("ReduceMax", ["scaled"], ["Call:0"], axes=[1], keepdims=0),
        helper.make_node("ReduceSum", ["i", "one"], ["count"], keepdims=0),
    ]
    takes = [_value("w", TensorProto.FLOAT, ["n", "t", 2]), _value("i", TensorProto.INT64, ["n", "t"])]
    answers = [
        _value("Call:0", TensorProto.FLOAT, ["n", 2]),
        _value("Call:1", TensorProto.FLOAT, ["n", 2]),
        _value("count", TensorProto.INT64, ["n"]),
        _value("scaled", TensorProto.FLOAT, ["n", "t", 2]),
    ]
    axes = [numpy_helper.from_array(np.array([axis]), name) for axis, name in ((1, "one"), (2, "two"))]
    return _write(folder, helper.make_graph(nodes, "notes", takes, answers, axes), NOTES_FACTS | facts)


def notes(ids: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the model of `write_notes` answers."""
    scaled = weights * ids[..., None].astype(np.float32)
    return {"onset": scaled.sum(axis=1), "note": scaled.max(axis=1), "scaled": scaled, "count": ids.sum(axis=1)}


def sample(samples: int, tokens: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Return samples for the model of `write_notes`."""
    random = np.random.default_rng(seed)
    weights = random.normal(size=(samples, tokens, 2)).astype(np.float32)
    return {"ids": random.integers(0, 100, (samples, tokens)), "weights": weights}


def write_texts(folder: Path, **facts: Any) -> Path:
    """Write a model that takes a text and answers a number and a text."""
    from onnx import TensorProto, helper

    kinds: dict[str, Any] = {
        "keys_strings": list(WORDS),
        "values_int64s": [kind for kind, _ in WORDS.values()],
        "default_int64": 0,
    }
    said: dict[str, Any] = {
        "keys_strings": list(WORDS),
        "values_strings": [text for _, text in WORDS.values()],
        "default_string": "?",
    }
    nodes = [
        helper.make_node("LabelEncoder", ["text"], ["kind"], domain="ai.onnx.ml", **kinds),
        helper.make_node("LabelEncoder", ["text"], ["answer"], domain="ai.onnx.ml", **said),
    ]
    takes = [_value("text", TensorProto.STRING, ["n"])]
    answers = [_value("kind", TensorProto.INT64, ["n"]), _value("answer", TensorProto.STRING, ["n"])]
    return _write(folder, helper.make_graph(nodes, "texts", takes, answers), TEXTS_FACTS | facts)


def _value(name: str, kind: int, shape: list[int | str]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


def _write(folder: Path, graph: Any, facts: dict[str, Any]) -> Path:
    from onnx import helper

    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    folder.mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder
