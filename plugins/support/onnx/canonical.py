"""Give an ONNX graph the one order and the names that follow from its structure, so that the same model is the same bytes.

Exporters number what they make as they go through sets, in an order that differs from one process to the next.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COUNTER = r"__\d+(?=:\d+$|$)"


def canonicalize(model: Any, *, input_names: Sequence[str], output_names: Sequence[str], batch: str) -> None:
    """Order and name the parts of `model`, an `onnx.ModelProto`, in place.

    Operators keep the names that they have, without a counter; a weight is named after the operator that uses it.

    Args:
        model: the model.
        input_names: the new names of its inputs, in the order of the graph.
        output_names: those of its outputs.
        batch: the name of the first axis of all, whose size is free.
    """
    graph = model.graph
    nodes = _ordered(graph)
    names = {value.name: name for value, name in zip(graph.input, input_names, strict=True)}
    taken = {*input_names, *output_names}
    weights = {weight.name for weight in graph.initializer}
    for node in nodes:
        node.name = _free(re.sub(_COUNTER, "", node.name) or node.op_type, taken)
        for position, read in enumerate(_reads(node)):
            if read in weights and read not in names:
                names[read] = _free(f"{node.name}/input{position}", taken)
        for position, made in enumerate(node.output):
            if made:
                names[made] = _free(f"{node.name}:{position}", taken)
    names.update((value.name, name) for value, name in zip(graph.output, output_names, strict=True))
    for node in nodes:
        _rename(node, names)
    _put(graph, nodes, names)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = batch


def _put(graph: Any, nodes: list[Any], names: dict[str, str]) -> None:
    """Put the parts of `graph` back in order; weights that nothing uses, and shapes that can be inferred, are left out."""
    import copy

    weights = []
    for weight in graph.initializer:
        if weight.name in names:
            weight.name = names[weight.name]
            weights.append(copy.deepcopy(weight))
    ordered = [copy.deepcopy(node) for node in nodes]
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
    for field, values in (("node", ordered), ("initializer", sorted(weights, key=lambda weight: str(weight.name)))):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    graph.ClearField("value_info")


def _ordered(graph: Any) -> list[Any]:
    """Return the nodes that the outputs need, each after those that it reads, in the order of its inputs."""
    makers = {made: index for index, node in enumerate(graph.node) for made in node.output if made}
    done: dict[int, None] = {}
    for output in graph.output:
        todo = [makers[output.name]] if output.name in makers else []
        while todo:  # a loop, since a network may be deeper than the recursion limit
            reads = _reads(graph.node[todo[-1]])
            waiting = next((makers[name] for name in reads if name in makers and makers[name] not in done), None)
            if waiting is None:
                done.setdefault(todo.pop())
            else:
                todo.append(waiting)
    return [graph.node[index] for index in done]


def _reads(node: Any) -> Iterator[str]:
    """Yield the tensors that `node` reads, those that its subgraphs capture, too."""
    yield from node.input
    for subgraph in _subgraphs(node):
        for inner in subgraph.node:
            yield from _reads(inner)
        yield from (output.name for output in subgraph.output)


def _rename(node: Any, names: dict[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for subgraph in _subgraphs(node):
        for inner in subgraph.node:
            _rename(inner, names)
        for output in subgraph.output:
            output.name = names.get(output.name, output.name)


def _subgraphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, with a number behind it if it is taken, and take it."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}.{number}"
    taken.add(candidate)
    return candidate
