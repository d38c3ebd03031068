"""Weights that are quantized apart from their graph are what the quantizer makes of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelyard_plugins.support.onnx import apart, parts

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROWS = 12


def graph() -> Any:
    """Return a model that uses its weights in every way: a table, two products of one input, Gemm both ways, one as an operand."""
    helper, kinds, random = onnx.helper, onnx.TensorProto, np.random.default_rng(0)
    shapes = {"table": (ROWS, 8), "first": (8, 6), "second": (8, 6), "turned": (5, 6), "last": (5, 4), "left": (4, 4)}
    arrays = {name: random.normal(1, 2, shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["bias"] = np.zeros(5, np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Tanh", ["rows"], ["x"]),
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        helper.make_node("MatMul", ["x", "second"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Gemm", ["sum", "turned", "bias"], ["c"], transB=1),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "last"], ["e"]),
        helper.make_node("MatMul", ["e", "left"], ["f"]),
        helper.make_node("MatMul", ["left", "left"], ["g"]),
        helper.make_node("Gemm", ["f", "g"], ["y"]),
    ]
    taken = helper.make_tensor_value_info("ids", kinds.INT64, ("batch",))
    given = helper.make_tensor_value_info("y", kinds.FLOAT, ("batch", 4))
    kept = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    made = helper.make_graph(nodes, "net", [taken], [given], kept)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def quantize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Quantizes the model, with weights of at least so many bytes apart, a few numbers at a time; returns its folder."""
    from modelyard_plugins.optimizers.onnx_dynamic import onnx_dynamic

    (tmp_path / "net").mkdir()
    place = tmp_path / "net/model.onnx"
    onnx.save(graph(), place, save_as_external_data=True, location="weights.bin", size_threshold=0)

    def run(name: str, least_bytes: int, **params: Any) -> Path:
        monkeypatch.setattr(apart, "LARGE_BYTES", least_bytes)
        monkeypatch.setattr(parts, "_PART_BYTES", 70)
        out = tmp_path / name
        out.mkdir()
        model = SimpleNamespace(path=place.parent)
        context: Any = SimpleNamespace(model=model, out=out, warn=print, log=print, metrics={})
        onnx_dynamic(context, **params)
        assert context.metrics["operators_int8"] >= 4
        return out / "model.onnx"

    return run


def weights(folder: Path) -> list[bytes]:
    """Return the content of all weights of a model, in an order that does not depend on their names."""
    tensors = onnx.load(folder / "model.onnx").graph.initializer
    arrays = (onnx.numpy_helper.to_array(one) for one in tensors)
    return sorted(b"%s %d " % (str(one.dtype).encode(), one.ndim) + one.tobytes() for one in arrays)


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_apart_are_those_of_the_whole(quantize: Callable[..., Path], per_channel: bool) -> None:
    import onnxruntime

    whole, by_parts = (
        quantize(name, least, per_channel=per_channel) for name, least in (("whole", 1 << 30), ("parts", 1))
    )

    assert weights(whole) == weights(by_parts)
    assert not (whole / "model.onnx.large").exists()
    assert (by_parts / "model.onnx.large").stat().st_size > 4 * 4096, "each begins at a page"
    onnx.checker.check_model(by_parts / "model.onnx")
    ids = {"ids": np.arange(ROWS)}
    one, other = (onnxruntime.InferenceSession(folder / "model.onnx").run(None, ids)[0] for folder in (whole, by_parts))
    assert np.array_equal(one, other)


def test_a_weight_that_is_used_otherwise_stays_in_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LARGE_BYTES", 1)
    onnx.save(graph(), tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    taken = apart.take_apart(model, tmp_path)
    assert [one.name for one in taken] == ["table", "first", "second", "turned", "last"]
    assert {one.name for one in model.graph.initializer} == {"left", "bias"}
    assert next(one.array.shape for one in taken if one.name == "turned") == (6, 5)


def test_a_graph_that_came_to_use_a_weight_otherwise_gets_no_stand_in() -> None:
    model, array = graph(), np.ones((4, 4), np.float32)
    assert not apart.put_stand_ins(model, [apart.Weight("left", array)])
    assert apart.put_stand_ins(model, [apart.Weight("gone", array)])
