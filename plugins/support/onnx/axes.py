"""What the axes of a graph are called whose length varies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.tensors import InputFacts


def name_axes(proto: Any, inputs: Sequence[InputFacts]) -> None:
    """Call the axes of a graph as the data set does, in its answers, too: an exporter has names of its own for them.

    Args:
        proto: ONNX's message of the model; it is changed.
        inputs: what is known of the model's inputs.
    """
    tensors = {one.name: one for one in proto.graph.input}
    names = {}
    for one in inputs:
        tensor = proto.graph.input[0] if len(inputs) == 1 else tensors.get(one.tensor or one.name)
        axes = () if tensor is None else tensor.type.tensor_type.shape.dim[1:]
        for dim, axis in zip(axes, one.shape, strict=False):
            if isinstance(axis, str) and dim.dim_param:
                names[dim.dim_param] = axis
    for value in (*proto.graph.input, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]
