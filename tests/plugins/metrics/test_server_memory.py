"""The most memory of a real server, on models whose size is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugins.conftest import no_progress
from tests.serving.onnx_models import write_onnx

from modelyard.artifacts import Model
from modelyard.component import Use
from modelyard.contexts import MetricContext
from modelyard.plugins.load import load_plugins
from modelyard.system import is_linux
from modelyard_plugins.metrics.server_memory import server_memory

if TYPE_CHECKING:
    from modelyard.artifacts import Dataset

pytestmark = pytest.mark.skipif(not is_linux(), reason="only Linux tells the peak of a process")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MIB = 2**20


class Samples:
    """A test split."""

    def raw(self, _: str) -> dict[str, np.ndarray]:
        return {"input": np.zeros((7, 8, 8, 1), np.uint8)}


def context(folder: Path) -> MetricContext:
    dataset: Dataset = Samples()  # type: ignore[assignment]
    runtime = load_plugins(folder).get("runtime", "onnxruntime", "a test")
    unused: Any = None
    return MetricContext(
        out=folder,
        project=folder,
        cache=folder,
        seed=0,
        progress=no_progress,
        log=print,
        model=Model.open(folder),
        dataset=dataset,
        answers=unused,
        open_model=unused,
        runtime=Use(runtime, {"threads": 1, "grpc_port": None}),
    )


def heavier(folder: Path, size_bytes: int) -> None:
    """Add weights that the answer depends on to the model in `folder`, of about `size_bytes`."""
    model = onnx.load(folder / "model.onnx")
    (answer,) = {one.name for one in model.graph.output} & {"y"}
    rows = size_bytes // 4 // 10
    table = onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(rows, 10)).astype(np.float32), "table")
    for node in model.graph.node:
        node.output[:] = ["before" if name == answer else name for name in node.output]
    model.graph.initializer.append(table)
    model.graph.node.append(onnx.helper.make_node("ReduceMean", ["table"], ["mean"], axes=[0]))
    model.graph.node.append(onnx.helper.make_node("Add", ["before", "mean"], [answer]))
    onnx.save(model, folder / "model.onnx")


def test_it_grows_with_the_model_and_is_the_same_again(tmp_path: Path) -> None:
    small, large = write_onnx(tmp_path / "small"), write_onnx(tmp_path / "large")
    heavier(large, 64 * MIB)
    first, again, other = (server_memory(context(folder), starts=1, seconds=0.1)[0] for folder in (small, small, large))

    assert 20 * MIB < first < 300 * MIB, "that of an interpreter with ONNX Runtime"
    assert abs(again - first) < 0.1 * first
    assert other - first > 48 * MIB


def test_six_starts_have_an_interval_and_fewer_have_none(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "model")
    value, low, high = server_memory(context(folder), seconds=0.01, clients=1, samples=3)
    assert low is not None
    assert high is not None
    assert low <= value <= high
    assert server_memory(context(folder), starts=1, seconds=0.01)[1:] == (None, None)
