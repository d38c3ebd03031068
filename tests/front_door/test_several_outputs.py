"""A network of two heads that was trained elsewhere: both are measured, gated, and quantized."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modelyard.testing import run_doit, write_project
from tests.known import know

PYPROJECT = """\
[project]
name = "two"
version = "1.0"

[tool.modelyard.dataset]
use = "points:points"
normalize = "none"

[tool.modelyard.task.outputs.kind]
use = "classification"

[tool.modelyard.task.outputs.place]
use = "regression"

[tool.modelyard.train]
use = "import"
path = "two.onnx"

[tool.modelyard.runtime]
use = "onnxruntime"

[tool.modelyard.variants]
plain = []
int8 = ["onnx-dynamic"]

[tool.modelyard.evaluate]
slices = ["side"]

[tool.modelyard.gates]
min_kind_accuracy = 0.8
max_place_mae = 0.001
"""
POINTS = '''
"""Points, the corner that they are near to, and where they are on another scale."""

import numpy as np

from modelyard.artifacts import Splits

CORNERS = np.float32([[0, 0], [1, 0], [0, 1]])


def points(context):
    """Make points."""
    random, kind = np.random.default_rng(context.seed), np.arange(180) % 3
    x = (CORNERS[kind] + random.normal(0, 0.1, (180, 2))).astype("float32")
    y = {"kind": kind, "place": x @ np.float32([[2, 0], [0, 3]])}
    cut = {name: (one[:120], one[120:]) for name, one in y.items()}
    train, test = ({name: pair[n] for name, pair in cut.items()} for n in (0, 1))
    names = {"kind": ["origin", "right", "up"], "place": ["across", "along"]}
    return Splits(x[:120], train, x[120:], test, names, slices={"side": (x[120:, 0] > 0.5).astype(int)})
'''


def write_model(file: Path) -> None:
    """Write a network that ends in the place, and in the softmax of how near each corner is."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    corners = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    weights = {"w": 16 * corners.T, "b": -8 * (corners**2).sum(axis=1), "v": np.array([[2, 0], [0, 3]], np.float32)}
    nodes = [
        helper.make_node("MatMul", ["input", "v"], ["place"]),
        helper.make_node("MatMul", ["input", "w"], ["near"]),
        helper.make_node("Add", ["near", "b"], ["nearness"]),
        helper.make_node("Softmax", ["nearness"], ["kind"], axis=-1),
    ]
    taken, place, kind = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", width])
        for name, width in (("input", 2), ("place", 2), ("kind", 3))
    )
    held = [numpy_helper.from_array(np.ascontiguousarray(one, np.float32), name) for name, one in weights.items()]
    graph = helper.make_graph(nodes, "two", [taken], [place, kind], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)


def test_both_heads_are_measured_and_a_gate_on_either_rules_a_variant_out(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    project = know(write_project(tmp_path / "two", {"pyproject.toml": PYPROJECT, "points.py": POINTS}))
    write_model(project / "two.onnx")

    done = run_doit(project, "select")

    assert done.returncode == 0, done.stdout + done.stderr
    selection = json.loads((project / "artifacts/select/two/selection.json").read_text())
    rows = {row["variant"]: row for row in selection["table"]}
    figures = {name: {one["name"]: one for one in row["metrics"]} for name, row in rows.items()}
    assert figures["plain"]["kind_accuracy"]["value"] > 0.95
    assert [*figures["plain"]["place_mae"]["per_group"]] == ["across", "along"]
    assert {"side_kind_accuracy", "side_place_r2"} <= figures["plain"].keys()
    assert [text.partition(":")[0] for text in rows["int8"]["misses"]] == ["max_place_mae"]
    answers = np.load(project / "artifacts/select/two/reference/answers.npy")
    assert (answers["kind"].shape, answers["place"].shape) == ((60, 3), (60, 2))
    outputs = json.loads((project / "artifacts/train/two/model.json").read_text())["outputs"]
    assert [(one["name"], one.get("inside", False)) for one in outputs] == [("kind", True), ("place", False)]

    file = project / "two.onnx"
    model = onnx.load(file)
    for node, name in ((model.graph.node[0], "o:0"), (model.graph.node[3], "o:1")):
        node.output[0] = name
    for value, name in zip(model.graph.output, ("o:0", "o:1"), strict=True):
        value.name = name
    onnx.save(model, file)
    bound = run_doit(project, "train", 'train.outputs={ kind = "o:1", place = "o:0" }')
    assert bound.returncode == 0, bound.stdout + bound.stderr
    outputs = json.loads((project / "artifacts/train/two/model.json").read_text())["outputs"]
    assert [(one["tensor"], one.get("inside", False)) for one in outputs] == [("o:1", True), ("o:0", False)]

    refused = run_doit(project, "list", "gates.min_kind_acuracy=0.5")
    assert "unknown key 'min_kind_acuracy', did you mean 'min_kind_accuracy'?" in refused.stdout + refused.stderr


def test_a_model_optimizer_that_cannot_tell_outputs_apart_is_refused_before_anything_runs(tmp_path: Path) -> None:
    chained = PYPROJECT.replace("plain = []", 'plain = ["torch-litert"]').replace('"onnxruntime"', '"litert"')
    project = write_project(tmp_path / "two", {"pyproject.toml": chained, "points.py": POINTS, "two.onnx": ""})

    done = run_doit(project, "list")

    assert (
        "variants.plain]: key 'use': 'torch-litert' is not allowed: litert-torch keeps no names of outputs, and 2 are"
        in done.stderr
    )
    assert not (project / "artifacts").exists()
