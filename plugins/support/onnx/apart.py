"""Weights that are quantized one after the other, beside the graph: for models too large to be in memory a few times over.

ONNX Runtime's quantizer loads a model whole and copies it more than once. So it is given the graph with a stand-in for each
large weight, one row of it, by which it decides on the same operators, names and types; and the weights are quantized by its
own arithmetic, a part at a time, straight from file to file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import format_file
from modelyard_plugins.support.onnx.files import entries, graph_file, location
from modelyard_plugins.support.onnx.parts import copied, quantized_by_columns, quantized_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LARGE_BYTES = 16 << 20
"""Smaller weights stay in the graph that the quantizer loads."""
_ALIGNED_BYTES = 4096
"""Where a weight begins in its file: at a page, as it is mapped into memory."""
_FILE = f"{format_file('onnx')}.large"
"""The file of these weights, beside the graph."""
_AS_IT_IS, _TURNED, _OTHERWISE = "as it is", "turned", "otherwise"
"""How a graph uses a weight: with a column for each number of the answer, with a row for each, or in some other way."""


@dataclass(frozen=True)
class Weight:
    """A large weight that was taken out of a graph.

    Attributes:
        name: what the graph calls it.
        array: its numbers, float32, shape `(rows, columns)`, mapped into memory.
    """

    name: str
    array: NDArray[Any]


def take_apart(model: Any, folder: Path) -> list[Weight]:
    """Take the large weights out of a graph, where they become inputs, and return them.

    Args:
        model: the graph, an `onnx.ModelProto`, whose weights are in files.
        folder: where these are.
    """
    uses = _uses(model.graph)
    found = [
        one for one in model.graph.initializer if _is_large(one) and uses.get(one.name) in ({_AS_IT_IS}, {_TURNED})
    ]
    turned = {one.name for one in found if uses[one.name] == {_TURNED}}
    weights = [Weight(one.name, _mapped(one, folder, turned=one.name in turned)) for one in found]
    for one in found:
        model.graph.initializer.remove(one)
    for weight in weights:
        model.graph.input.append(_input(weight))
    for node in model.graph.node:
        if node.op_type == "Gemm" and node.input[1] in turned:
            node.attribute.remove(next(one for one in node.attribute if one.name == "transB"))
    return weights


def put_stand_ins(model: Any, weights: list[Weight]) -> bool:
    """Put stand-ins for weights into a graph, in place of its inputs; False: it uses one in another way by now.

    Args:
        model: the graph, which was made ready to be quantized.
        weights: those that were taken out of it.
    """
    from onnx import numpy_helper

    uses, names = _uses(model.graph), {one.name for one in weights}
    if any(uses.get(name, {_AS_IT_IS}) != {_AS_IT_IS} for name in names):
        return False
    kept = [one for one in model.graph.input if one.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(one.array[:1].copy(), one.name) for one in weights)
    return True


def put_back(target: Path, weights: list[Weight]) -> None:
    """Put weights into a graph that was quantized with their stand-ins, each in the way of its own.

    Args:
        target: the folder of the model.
        weights: those that were taken apart.
    """
    import onnx

    file = graph_file(target)
    model = onnx.ModelProto.FromString(file.read_bytes())
    tensors = {one.name: one for one in model.graph.initializer}
    for one in weights:
        if quantized := tensors.get(f"{one.name}_quantized"):
            scale, zero = tensors[f"{one.name}_scale"], tensors[f"{one.name}_zero_point"]
            fill = quantized_by_columns if scale.dims else quantized_whole
            _fill(scale, zero, *fill(one.array, _placed(quantized, target / _FILE, one), quantized.data_type))
        elif left := tensors.get(one.name):
            copied(one.array, _placed(left, target / _FILE, one))
    file.write_bytes(model.SerializeToString())


def _uses(graph: Any) -> dict[str, set[str]]:
    """Return how a graph uses each of its tensors, by name."""
    found: dict[str, set[str]] = {}
    for name, how in _each_use(graph):
        found.setdefault(name, set()).add(how)
    return found


def _each_use(graph: Any, *, inner: bool = False) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        yield from ((name, _OTHERWISE if inner else _use(node, place)) for place, name in enumerate(node.input))
        for attribute in node.attribute:
            for one in (attribute.g, *attribute.graphs):
                yield from _each_use(one, inner=True)
    yield from ((one.name, _OTHERWISE) for one in graph.output)


def _use(node: Any, place: int) -> str:
    """Return how an operator uses its input at `place`."""
    import onnx

    said = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if (node.op_type, place) == ("MatMul", 1) or ((node.op_type, place) == ("Gather", 0) and not said.get("axis")):
        return _AS_IT_IS
    if (
        (node.op_type, place) == ("Gemm", 1)
        and not said.get("transA")
        and said.get("alpha", 1) == said.get("beta", 1) == 1
    ):
        return _TURNED if said.get("transB") else _AS_IT_IS
    return _OTHERWISE


def _is_large(tensor: Any) -> bool:
    """Whether a tensor is a large table of float32 in another file."""
    if tensor.data_type != tensor.FLOAT or len(tensor.dims) != 2 or tensor.data_location != tensor.EXTERNAL:
        return False
    size = 4 * tensor.dims[0] * tensor.dims[1]
    return size >= LARGE_BYTES and entries(tensor).get("length", str(size)) == str(size)


def _mapped(tensor: Any, folder: Path, *, turned: bool) -> NDArray[Any]:
    import numpy as np

    offset = int(entries(tensor).get("offset", "0"))
    array = np.memmap(folder / location(tensor), "<f4", "r", offset, tuple(tensor.dims))
    return array.T if turned else array


def _input(weight: Weight) -> Any:
    import onnx

    return onnx.helper.make_tensor_value_info(weight.name, onnx.TensorProto.FLOAT, weight.array.shape)


def _placed(tensor: Any, file: Path, weight: Weight) -> NDArray[Any]:
    """Let a tensor of a graph be at the end of `file`, in the shape of `weight`, and return its place there."""
    import numpy as np
    import onnx

    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    end = file.stat().st_size if file.exists() else 0
    offset = -(-end // _ALIGNED_BYTES) * _ALIGNED_BYTES
    with file.open("ab") as opened:
        opened.truncate(offset + weight.array.size * dtype.itemsize)
    length = weight.array.size * dtype.itemsize
    for field in ("raw_data", "external_data", "dims", "float_data", "int32_data"):
        tensor.ClearField(field)
    tensor.dims.extend(weight.array.shape)
    tensor.data_location = tensor.EXTERNAL
    for key, value in {"location": file.name, "offset": offset, "length": length}.items():
        tensor.external_data.add(key=key, value=str(value))
    return np.memmap(file, dtype, "r+", offset, weight.array.shape)


def _fill(scale: Any, zero: Any, scales: NDArray[Any], zeros: NDArray[Any]) -> None:
    """Put scales and zero points into their tensors."""
    for tensor, values in ((scale, scales), (zero, zeros)):
        for field in ("raw_data", "external_data", "data_location", "float_data", "int32_data"):
            tensor.ClearField(field)
        tensor.raw_data = values.tobytes()
