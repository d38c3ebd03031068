"""The layers of a program: the weights that its convolutions and linear layers multiply with."""

from __future__ import annotations

from typing import Any, NamedTuple

from modelyard.errors import ConfigError, did_you_mean
from modelyard_plugins.support.torch.layout import plain_name

_FILTERS = {"conv1d": 0, "conv2d": 0, "conv3d": 0, "linear": 0, **{f"conv_transpose{n}d": 1 for n in (1, 2, 3)}}
"""The operators whose second argument is a weight, and the axis of the weight that counts outputs."""


class Layer(NamedTuple):
    """A convolution or a linear layer.

    Attributes:
        name: what the model's code calls it.
        weight: the full name of its weight in the program.
        filter_axis: the axis of the weight that counts outputs: filters of a convolution, units of a linear layer.
    """

    name: str
    weight: str
    filter_axis: int


def layers_of(program: Any) -> list[Layer]:
    """Return the layers of `program` in the order in which they work, each weight once."""
    parameters = program.graph_signature.inputs_to_parameters
    found: dict[str, Layer] = {}
    for node in program.graph.nodes:
        weight = parameters.get(getattr(node.args[1], "name", "")) if is_layer(node) else None
        if weight is not None:
            name = plain_name(weight).removesuffix(".weight")
            found.setdefault(weight, Layer(name, weight, _FILTERS[_operator(node)]))
    return list(found.values())


def is_layer(node: Any) -> bool:
    """Whether `node` of a graph is the operator of a convolution or a linear layer; its second argument is the weight."""
    return _operator(node) in _FILTERS


def _operator(node: Any) -> str:
    return getattr(getattr(node.target, "overloadpacket", None), "__name__", "")


def choose(layers: list[Layer], skip: tuple[str, ...], who: str) -> list[Layer]:
    """Return the layers without those called in `skip`.

    Raises:
        ConfigError: `skip` names no layer, or no layer is left; the message begins with the model optimizer `who`.
    """
    known = [layer.name for layer in layers]
    for name in skip:
        if name not in known:
            msg = (
                f"[tool.modelyard.variants]: {who}: skip: there is no layer {name!r}{did_you_mean(name, known)}\n"
                f"  layers: {', '.join(known) or '(none)'}"
            )
            raise ConfigError(msg)
    left = [layer for layer in layers if layer.name not in skip]
    if not left:
        msg = (
            f"{who}: no layer of the model has weights to prune\n"
            f"  layers: {', '.join(known) or '(none)'}; left as they are: {', '.join(skip) or '(none)'}"
        )
        raise ConfigError(msg)
    return left
