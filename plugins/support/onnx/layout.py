"""The order of the axes in which an ONNX model takes its samples, and answers."""

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


def with_batch_first(model: Any) -> tuple[Any, list[str]]:
    """Return a copy of `model`, an `onnx.ModelProto`, whose outputs have the axis of the batch first, and which of them had not.

    It is the first axis of the first input, if that has a name; recurrent networks answer `(time, batch, ...)`. An output that
    is of the same axes as an input is a state, and stays as it is.
    """
    import onnx

    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    brought = {tensor.name for tensor in graph.initializer}
    inputs = [_axes(one) for one in graph.input if one.name not in brought]
    batch = inputs[0][0] if inputs and inputs[0] else ""
    turned = [one for one in graph.output if isinstance(batch, str) and _is_second(_axes(one), batch, inputs)]
    for value in turned:
        _answer_turned(graph, value, _axes(value).index(batch))
    return found, [value.name for value in turned]


def _is_second(axes: list[int | str], batch: str, inputs: list[list[int | str]]) -> bool:
    """Tell whether the axis `batch` is there, but not the first, and whether no input has it in the same place."""
    if not batch or batch not in axes[1:] or batch == axes[0]:
        return False
    place = axes.index(batch)
    return not any(_alike(one, axes) and one[place] == batch for one in inputs)


def _alike(one: list[int | str], other: list[int | str]) -> bool:
    """Tell whether two tensors may have the same axes: those that have a name, or nothing, may be of any length."""
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(len({*pair} - {0}) < 2 or str in map(type, pair) for pair in pairs)


def _answer_turned(graph: Any, value: Any, axis: int) -> None:
    """Have `graph` answer the output `value` with its axis `axis` in the first place."""
    import onnx

    inside = _free(f"{value.name}_batch_behind", graph)
    for node in graph.node:
        node.output[:] = [inside if name == value.name else name for name in node.output]
    name, dims = value.name, list(value.type.tensor_type.shape.dim)
    _rename(graph, name, inside)
    value.name = name  # `_rename` took it for the output of a model that answers what it takes
    order = [axis, *(other for other in range(len(dims)) if other != axis)]
    _set_shape(value, [dims[other] for other in order])
    graph.node.append(onnx.helper.make_node("Transpose", [inside], [name], name=inside, perm=order))


def _axes(value: Any) -> list[int | str]:
    """Return the axes of a tensor: of each its name, or how long it is."""
    return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]


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
