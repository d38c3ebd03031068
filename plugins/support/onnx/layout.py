"""The order of the axes in which an ONNX model takes its samples."""

from __future__ import annotations

from typing import Any

from modelyard.errors import StageFailed


def with_channels_last(model: Any) -> Any:
    """Return a copy of `model`, an `onnx.ModelProto` that takes `(N, C, ...)`, that takes `(N, ..., C)` and answers the same.

    Raises:
        StageFailed: it takes several tensors, or one that has no axis beside that of the channels.
    """
    import onnx

    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    brought = {tensor.name for tensor in graph.initializer}
    taken = [one for one in graph.input if one.name not in brought]
    axes = len(taken[0].type.tensor_type.shape.dim) if len(taken) == 1 else 0
    if axes < 3:
        shown = f"its input has {axes} axes" if axes else f"it takes {len(taken)} tensors"
        msg = f"channels-first: {shown}\n  only a single tensor of samples with channels, (N, C, ...), can be turned: leave layout out"
        raise StageFailed(msg)
    (value,) = taken
    inside = _free(f"{value.name}_channels_first", graph)
    _rename(graph, value.name, inside)
    dims = list(value.type.tensor_type.shape.dim)
    _set_shape(value, [dims[0], *dims[2:], dims[1]])
    turn = onnx.helper.make_node("Transpose", [value.name], [inside], perm=[0, axes - 1, *range(1, axes - 1)])
    turn.name = inside
    graph.node.insert(0, turn)
    return found


def _set_shape(value: Any, dims: list[Any]) -> None:
    copies = [type(one).FromString(one.SerializeToString()) for one in dims]
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    shape.dim.extend(copies)


def _rename(graph: Any, old: str, new: str) -> None:
    """Have every operator of `graph`, and of the graphs inside of its operators, that reads `old` read `new`."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node and old not in {one.name for one in inner.input}:
                    _rename(inner, old, new)
    for value in graph.output:  # a model that answers what it takes
        value.name = new if value.name == old else value.name


def _free(name: str, graph: Any) -> str:
    taken = {made for node in graph.node for made in node.output} | {tensor.name for tensor in graph.initializer}
    while name in taken:
        name += "_"
    return name
