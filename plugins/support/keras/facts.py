"""What a `.keras` file, of Keras 2 or 3, shows of itself: read from its configuration, without Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts
from modelyard.signature import Signature, TensorSpec
from modelyard.tensors import Activation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ACTIVATIONS: dict[str, Activation] = {
    "Softmax": "softmax",
    "softmax": "softmax",
    "Sigmoid": "sigmoid",
    "sigmoid": "sigmoid",
}
"""The names of layers, of operators and of functions."""


def keras_facts(path: Path) -> FileFacts:
    """Return what the model in `path` shows of itself; nothing if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return FileFacts()
    each = each_ends_in(config)
    return FileFacts(
        activation=ends_in(config), activations=each if len(each) > 1 else {}, signature=_signature(config)
    )


def each_ends_in(config: Any) -> dict[str, Activation | None]:
    """Return what each layer is that an output of a model comes out of, or has, as `ends_in` does, by the layer's name."""
    own = config.get("config") if isinstance(config, Mapping) else None
    layers = own.get("layers") if isinstance(own, Mapping) else None
    if not isinstance(own, Mapping) or not layers:
        return {}
    named = {_name(layer): layer for layer in layers}
    return {name: ends_in(named[name]) for name in _names(own.get("output_layers")) if name in named}


def ends_in(config: Any) -> Activation | None:
    """Return the activation that the last layer of a model is, or has; None: neither softmax nor sigmoid.

    Args:
        config: a layer, or a model, as `serialize_keras_object` gives it: `class_name` and `config`.
    """
    own = config.get("config") if isinstance(config, Mapping) else None
    if not isinstance(own, Mapping):
        return None
    if own.get("layers"):
        return ends_in(_last_layer(own))
    return _named(config.get("class_name")) or _activation(own.get("activation"))


def _last_layer(model: Mapping[str, Any]) -> Any:
    """Return the layer that makes a model's first output: of a Sequential model the last one."""
    output = model.get("output_layers")
    while isinstance(output, list) and output:
        output = output[0]
    named = [one for one in model["layers"] if output and one.get("name") == output]
    return named[0] if named else model["layers"][-1]


def _activation(said: Any) -> Activation | None:
    """Return a layer's activation, which is there by its name or as a serialized function or layer."""
    if isinstance(said, Mapping):
        return _named(said.get("class_name")) or _named(said.get("config"))
    return _named(said)


def _named(name: Any) -> Activation | None:
    return _ACTIVATIONS.get(name) if isinstance(name, str) else None


def _signature(config: Any) -> Signature | None:
    """Return the layers that a model begins and ends with, as tensors; the configuration holds no shape of its outputs."""
    own = config.get("config") if isinstance(config, Mapping) else None
    layers = own.get("layers") if isinstance(own, Mapping) else None
    if not isinstance(own, Mapping) or not layers:
        return None
    named = {_name(layer): layer.get("config") or {} for layer in layers}
    starts = list(_names(own.get("input_layers"))) or [_name(layers[0])]
    ends = list(_names(own.get("output_layers"))) or [_name(layers[-1])]
    if not all(_batch_shape(named.get(name, {})) for name in starts):
        return None  # it takes whatever shape it is called with first
    inputs = (TensorSpec(name, _dtype(named[name]), _axes(_batch_shape(named[name]))) for name in starts)
    return Signature(tuple(inputs), tuple(TensorSpec(name, _dtype(named.get(name, {}))) for name in ends))


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get("name") or (layer.get("config") or {}).get("name", ""))


def _names(references: Any) -> Iterator[str]:
    """Yield the layers that are referred to, `[name, node, tensor]` each, in whatever lists and dicts."""
    if isinstance(references, Mapping):
        for one in references.values():
            yield from _names(one)
    elif isinstance(references, list) and references and isinstance(references[0], str):
        yield references[0]
    elif isinstance(references, list):
        for one in references:
            yield from _names(one)


def _batch_shape(layer: Mapping[str, Any]) -> list[int | None]:
    return layer.get("batch_shape") or layer.get("batch_input_shape") or []


def _axes(shape: list[int | None]) -> tuple[int | str, ...]:
    return tuple("" if length is None else length for length in shape)


def _dtype(layer: Mapping[str, Any]) -> str:
    """Return the type that a layer computes in: a name, or a policy of types with a name."""
    said = layer.get("dtype")
    own = said.get("config") if isinstance(said, Mapping) else None
    name = own.get("name") if isinstance(own, Mapping) else said
    return name if isinstance(name, str) and "_" not in name else ""
