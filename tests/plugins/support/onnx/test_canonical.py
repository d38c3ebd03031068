from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from modelyard_plugins.support.onnx.canonical import canonicalize

onnx = pytest.importorskip("onnx", reason="needs the extra 'onnx'")


def network(seed: int) -> Any:
    """Return a network with a branch in a subgraph; order, counters and names of tensors depend on `seed`."""
    from onnx import TensorProto, helper, numpy_helper

    pick = random.Random(seed)
    n = {
        name: f"{name}__{pick.randrange(1000)}" for name in ("a", "b", "sum", "same", "y", "w", "v", "captured", "last")
    }
    branch = {
        side: helper.make_graph(
            [helper.make_node("Mul", [n["sum"], n["captured"]], [f"in_{side}"], name=f"mul_{side}")],
            side,
            [],
            [helper.make_tensor_value_info(f"in_{side}", TensorProto.FLOAT, None)],
        )
        for side in ("then", "else")
    }
    nodes = [
        helper.make_node("Add", ["x", n["w"]], [n["a"]], name=f"first__{pick.randrange(1000)}"),
        helper.make_node("Add", ["x", n["v"]], [n["b"]], name=f"first__{pick.randrange(1000)}"),
        helper.make_node("Add", [n["a"], n["b"]], [n["sum"]], name="sum"),
        helper.make_node(
            "If", ["flag"], [n["last"]], name="choose", then_branch=branch["then"], else_branch=branch["else"]
        ),
        helper.make_node("Identity", [n["last"]], [n["y"]], name="out"),
    ]
    values = {
        n["w"]: np.array([1, 2, 3], np.float32),
        n["v"]: np.array([4, 5, 6], np.float32),
        n["captured"]: np.array(10, np.float32),
        "flag": np.array(True),
        "unused": np.array(0, np.float32),
    }
    weights = [numpy_helper.from_array(value, name) for name, value in values.items()]
    pick.shuffle(weights)
    if seed % 2:
        nodes[:2] = nodes[1::-1]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [f"unk__{seed}", 3])],
        [helper.make_tensor_value_info(n["y"], TensorProto.FLOAT, [f"unk__{seed + 1}", 3])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: Any, x: Any) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def test_the_same_network_is_the_same_bytes_and_still_answers_the_same() -> None:
    x = np.array([[1, 1, 1], [2, 0, 2]], np.float32)
    written = []
    for seed in range(4):
        model = network(seed)
        before = answer(model, x)
        canonicalize(model, input_names=["image"], output_names=["logits"], batch="n")
        onnx.checker.check_model(model, full_check=True)
        np.testing.assert_array_equal(answer(model, x), before)
        np.testing.assert_array_equal(before, 10 * (2 * x + [5, 7, 9]))
        written.append(model.SerializeToString())

    assert len(set(written)) == 1
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("image", "logits")
    assert [node.name for node in model.graph.node] == ["first", "first.2", "sum", "choose", "out"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_another_network_is_other_bytes() -> None:
    one, other = network(0), network(0)
    other.graph.node[2].op_type = "Sub"
    for model in (one, other):
        canonicalize(model, input_names=["image"], output_names=["logits"], batch="n")

    assert one.SerializeToString() != other.SerializeToString()
