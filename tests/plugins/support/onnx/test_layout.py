from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.errors import StageFailed

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from modelyard_plugins.support.onnx.layout import with_batch_first, with_channels_last  # noqa: E402 - it needs onnx to be of use

FLOAT = onnx.TensorProto.FLOAT


def value(name: str, shape: tuple[Any, ...] | None) -> Any:
    return onnx.helper.make_tensor_value_info(name, FLOAT, shape)


def model(
    nodes: list[Any], shape: tuple[Any, ...] = ("n", 2, 3, 4), output: str = "y", more: list[Any] | None = None
) -> Any:
    inputs = [value("x", shape), *(more or [])]
    graph = onnx.helper.make_graph(nodes, "g", inputs, [value(output, None)])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def answer(made: Any, samples: np.ndarray[Any, Any]) -> Any:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": samples})[0]


def branches() -> list[Any]:
    """Return operators of which one looks at the input from a graph inside of it."""
    inner = [
        onnx.helper.make_graph([onnx.helper.make_node(kind, ["x"], [kind])], kind, [], [value(kind, None)])
        for kind in ("Relu", "Neg")
    ]
    yes = onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, (), [True])
    return [
        onnx.helper.make_node("Constant", [], ["yes"], value=yes),
        onnx.helper.make_node("If", ["yes"], ["y"], then_branch=inner[0], else_branch=inner[1]),
    ]


@pytest.mark.parametrize(
    "made",
    [
        model([onnx.helper.make_node("Relu", ["x"], ["y"])]),
        model(
            [
                onnx.helper.make_node("Relu", ["x"], ["x_channels_first"]),
                onnx.helper.make_node("Neg", ["x_channels_first"], ["y"]),
            ]
        ),
        model([onnx.helper.make_node("Relu", ["x"], ["other"])], output="x"),
        model(branches()),
        model([onnx.helper.make_node("Relu", ["x"], ["y"])], shape=("n", 5, 7)),
        model([onnx.helper.make_node("Relu", ["x"], ["y"])], shape=("n", 2, "depth", "height", "width")),
    ],
    ids=["plain", "its name is taken", "answers what it takes", "read from inside", "series", "volumes"],
)
def test_it_answers_what_it_did_to_samples_with_their_channels_last(made: Any) -> None:
    before = made.SerializeToString()
    lengths = [d.dim_value or 3 for d in made.graph.input[0].type.tensor_type.shape.dim]
    samples = np.random.default_rng(0).normal(size=lengths).astype(np.float32)
    turned = with_channels_last(made)
    np.testing.assert_array_equal(answer(turned, np.moveaxis(samples, 1, -1).copy()), answer(made, samples))
    dims = turned.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value or d.dim_param for d in dims][-1] == lengths[1]
    assert made.SerializeToString() == before


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (model([onnx.helper.make_node("Relu", ["x"], ["y"])], shape=("n", 4)), "its input has 2 axes"),
        (model([onnx.helper.make_node("Relu", ["x"], ["y"])], more=[value("mask", (1,))]), "it takes 2 tensors"),
    ],
)
def test_what_has_no_channels_is_refused(made: Any, told: str) -> None:
    with pytest.raises(StageFailed, match=told):
        with_channels_last(made)


def recurrent(answered: tuple[Any, ...], taken: tuple[Any, ...] = ("n", 3, 5), state: tuple[Any, ...] = ()) -> Any:
    """Return a model that answers `y`, which is `x` with its time before its batch, and takes a `state` that it answers."""
    nodes = [
        onnx.helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0, 2]),
        onnx.helper.make_node("Neg", ["y"], ["negative"]),
        *([onnx.helper.make_node("Relu", ["h"], ["hn"])] if state else []),
    ]
    inputs = [value("x", taken), *([value("h", state)] if state else [])]
    outputs = [value("y", answered), value("negative", None), *([value("hn", state)] if state else [])]
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def test_an_answer_over_time_has_its_batch_first() -> None:
    samples = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    made = recurrent((3, "n", 5))
    turned, names = with_batch_first(made)
    assert names == ["y"]
    session = onnxruntime.InferenceSession(turned.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape == ["n", 3, 5]
    answered, negative = session.run(["y", "negative"], {"x": samples})
    np.testing.assert_array_equal(answered, samples)
    np.testing.assert_array_equal(negative, -np.swapaxes(samples, 0, 1))


@pytest.mark.parametrize(
    "made",
    [
        recurrent(("n", 3, 5)),
        recurrent((3, "other", 5)),
        recurrent((3, 4, 5), taken=(4, 3, 5)),
        recurrent(("m", "n", 5), taken=("m", "n", 5)),
    ],
    ids=["first already", "none of that name", "of certain length", "first in the input, too"],
)
def test_what_has_its_batch_first_stays_as_it_is(made: Any) -> None:
    turned, names = with_batch_first(made)
    assert names == []
    assert turned == made


def test_a_state_keeps_its_batch_where_it_was() -> None:
    assert with_batch_first(recurrent((3, "n", 5), state=(2, "n", 4)))[1] == ["y"]
    assert with_batch_first(recurrent((3, "n", 5), state=("layers", "n", 5)))[1] == [], "it could be the state"
