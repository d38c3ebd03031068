"""A small convolutional network as ONNX, and what it answers, computed by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.facts import model_json

SHAPE, CLASSES = (8, 8, 1), 10
PREPROCESSING: dict[str, Any] = {"scale": 1 / 16, "mean": [0.3], "std": [0.4]}
FILTERS = 6


def weights() -> dict[str, np.ndarray]:
    """Return the network's weights, the same every time: a convolution of 3 x 3, and a dense layer on 6 x 6 x 6."""
    random = np.random.default_rng(3)
    return {
        "kernel": random.normal(0, 0.3, (FILTERS, 1, 3, 3)),
        "dense": random.normal(0, 0.1, (FILTERS * 36, CLASSES)),
        "bias": random.normal(0, 0.1, CLASSES),
    }


def move_weights_out(folder: Path, name: str = "weights.bin") -> Path:
    """Let the model in `folder` be a folder with its weights in the file `name`; return it."""
    import onnx

    model, path = onnx.load(folder / "model.onnx"), folder / "model.onnx"
    path.unlink()
    path.mkdir()
    onnx.save(model, path / "model.onnx", save_as_external_data=True, location=name, size_threshold=0)
    return folder


def write_onnx(
    folder: Path, *, batch: int | str = "n", dtype: Any = np.float32, outputs: int = 1, **facts: Any
) -> Path:
    """Write the model and its `model.json` to `folder`, and return it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], name="Cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], name="Transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "kernel"], ["c"], name="Conv"),
        helper.make_node("Relu", ["c"], ["r"], name="Relu"),
        helper.make_node("Flatten", ["r"], ["l"], name="Flatten"),
        helper.make_node("Gemm", ["l", "dense", "bias"], ["y"], name="Gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, [batch, *SHAPE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "l")[:outputs]],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights().items()],
    )
    # an opset and an IR version that an older ONNX Runtime takes, too
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True)
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / "model.onnx")
    known = {
        "format": "onnx",
        "file": "model.onnx",
        "input_shape": SHAPE,
        "input_dtype": "uint8",
        "preprocessing": PREPROCESSING,
        "class_names": [str(number) for number in range(CLASSES)],
    }
    (folder / "model.json").write_text(json.dumps(model_json(**{**known, **facts})), encoding="utf-8")
    return folder


def logits(raw: np.ndarray) -> np.ndarray:
    """Return what the network answers to raw samples, float64, shape `(N, 10)`."""
    x = (raw * PREPROCESSING["scale"] - PREPROCESSING["mean"][0]) / PREPROCESSING["std"][0]
    windows = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), axis=(1, 2))
    w = weights()
    convolved = np.einsum("nhwij,fij->nfhw", windows, w["kernel"][:, 0])
    return np.maximum(convolved, 0).reshape(len(raw), -1) @ w["dense"] + w["bias"]


def probabilities(raw: np.ndarray) -> np.ndarray:
    """Return the softmax of `logits`."""
    powers = np.exp(logits(raw))
    return powers / powers.sum(axis=1, keepdims=True)
