"""A detector that takes one picture and answers as many boxes as it finds, with no axis of the batch, is measured, packed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.front_door import imported
from tests.front_door.builds import build

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TABLES = """
[tool.modelyard.signature]
boxes = { batch = false }
scores = { batch = false }
kinds = { batch = false }

[tool.modelyard.handlers]
outputs = ["boxes", "scores", "kinds"]
after = [{ use = "nms", give = "detections", most = 5, overlap = 0.9 }]
answer = "detections"
"""


def detector() -> Any:
    """Return an `onnx.ModelProto` that has a box for each pixel above a half, its score, and a whole number."""
    helper, numbers = onnx.helper, onnx.TensorProto
    node, tensor, constant = helper.make_node, helper.make_tensor_value_info, onnx.numpy_helper.from_array
    nodes = [
        node("Reshape", ["picture", "all"], ["flat"]),
        node("Greater", ["flat", "half"], ["above"]),
        node("NonZero", ["above"], ["places"]),
        node("Transpose", ["places"], ["rows"]),
        node("GatherND", ["flat", "rows"], ["scores"]),
        node("Reshape", ["rows", "all"], ["kinds"]),
        node("Cast", ["rows"], ["corner"], to=numbers.FLOAT),
        node("Concat", ["corner"] * 4, ["boxes"], axis=1),
    ]
    brought = [constant(np.array([-1]), "all"), constant(np.float32(0.5), "half")]
    answers = [
        tensor("boxes", numbers.FLOAT, ("n", 4)),
        tensor("scores", numbers.FLOAT, ("n",)),
        tensor("kinds", numbers.INT64, ("n",)),
    ]
    graph = helper.make_graph(nodes, "d", [tensor("picture", numbers.FLOAT, (1, 6, 6, 1))], answers, brought)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_what_it_finds_is_made_alike_by_a_handler(tmp_path: Path) -> None:
    imported.write(tmp_path, detector(), imported.config("bright", dataset="samples = 24", tables=TABLES))
    done = build(tmp_path, "check:bright")
    assert done.code == 0, done.output
    samples = np.load(tmp_path / "artifacts/dataset/generated/test_x.npy")
    found = np.load(tmp_path / "artifacts/evaluate/whole/answers.npy")
    best = np.sort(samples.reshape(len(samples), -1))[:, -5:][:, ::-1]
    np.testing.assert_allclose(found[..., 4], np.where(best > 0.5, best, 0), rtol=1e-6)

    without = build(tmp_path, "signature={}", "handlers={}", "train.output=boxes", "evaluate:whole")
    assert "has it no axis of the batch? say so: batch = false" in without.output
