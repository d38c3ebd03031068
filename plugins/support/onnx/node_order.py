"""Let tf2onnx go through a graph in one order, so that what it simplifies does not differ from one process to the next.

It keeps nodes in sets, which have the order of the nodes' addresses, and names in sets, which have that of their hashes.
In some orders a simplification finds what it looks for, and in others it comes too early.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Names(set[str]):
    """A set of names that is gone through in their order.

    What a loop or a condition calls is converted in the order of such a set, and the number of each is in the file.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__()))


@contextlib.contextmanager
def steady_order() -> Iterator[None]:
    """Within it, tf2onnx keeps the nodes of a graph in their order, and goes through functions, and readers of a tensor, by name."""
    from tf2onnx import tf_loader
    from tf2onnx.graph import Graph

    sets = getattr(tf_loader, "set", set)
    needed, readers = Graph.extract_sub_graph_nodes, Graph.find_output_consumers

    def in_order(graph: Any, *args: Any, **kwargs: Any) -> list[Any]:
        kept = {id(node): node for node in needed(graph, *args, **kwargs)}
        # each once: where it has put a recurrent layer together, it lists the parts twice
        return [kept.pop(id(node)) for node in graph.get_nodes() if id(node) in kept]

    def by_name(graph: Any, tensor: str) -> list[Any]:
        return sorted(readers(graph, tensor), key=lambda node: str(node.name))

    Graph.extract_sub_graph_nodes, Graph.find_output_consumers, tf_loader.set = in_order, by_name, _Names
    try:
        yield
    finally:
        Graph.extract_sub_graph_nodes, Graph.find_output_consumers, tf_loader.set = needed, readers, sets
