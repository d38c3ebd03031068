"""Samples for whatever a model's file takes, and what is told of what nobody can send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plugins.conftest import Bench
from tests.shared import array, arrays

from modelyard import DataError
from modelyard_plugins.datasets.generated import generated

onnx = pytest.importorskip("onnx")


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """Writes a model that takes the given tensors, by name with type and shape."""

    def write(**tensors: tuple[str, Any]) -> str:
        helper = onnx.helper
        taken = [
            helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), shape)
            for name, (kind, shape) in tensors.items()
        ]
        onnx.save(helper.make_model(helper.make_graph([], "g", taken, [])), tmp_path / "m.onnx")
        return str(tmp_path / "m.onnx")

    return write


@pytest.mark.parametrize(
    ("kind", "dtype", "most"),
    [
        ("UINT8", "uint8", 255),
        ("INT8", "int32", 127),
        ("UINT16", "int32", 999),
        ("UINT64", "int64", 999),
        ("INT64", "int64", 999),
        ("BOOL", "int32", 1),
        ("FLOAT16", "float32", None),
    ],
)
def test_samples_are_of_a_type_that_goes_into_the_file(
    bench: Bench, model: Any, kind: str, dtype: str, most: int | None
) -> None:
    train_x = array(generated(bench.stage(), model=model(x=(kind, ("n", 64))), samples=200, high=1000).train_x)
    assert train_x.dtype == dtype
    if most is not None:
        assert train_x.min() >= 0
        assert most * 0.9 <= train_x.max() <= most


def test_a_number_a_sample_has_a_name(bench: Bench, model: Any) -> None:
    splits = generated(bench.stage(), model=model(lengths=("INT64", ("n",))), samples=8)
    assert arrays(splits.train_x)["lengths"].shape == (4,)


@pytest.mark.parametrize(
    ("kind", "shape", "told"),
    [
        ("FLOAT", (), "one value, whatever the samples are.*\n.*signature] 'x' = { constant"),
        ("FLOAT", None, "does not say which axes a sample of 'x' has"),
        ("BFLOAT16", ("n", 4), "for which no samples are generated"),
        ("STRING", ("n", 4), "for which no samples are generated"),
    ],
)
def test_what_is_not_generated_is_told(bench: Bench, model: Any, kind: str, shape: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        generated(bench.stage(), model=model(x=(kind, shape)))
