"""What a `.keras` file, of Keras 2 or 3, shows of itself: read from its configuration, without Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import FileFacts

if TYPE_CHECKING:
    from pathlib import Path


def keras_facts(path: Path) -> FileFacts:
    """Return what the model in `path` shows of itself; nothing if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return FileFacts()
    return FileFacts(output="probabilities" if ends_in_softmax(config) else None)


def ends_in_softmax(config: Any) -> bool:
    """Tell whether the last layer of a model is a softmax, or has one for its activation.

    Args:
        config: a layer, or a model, as `serialize_keras_object` gives it: `class_name` and `config`.
    """
    own = config.get("config") if isinstance(config, Mapping) else None
    if not isinstance(own, Mapping):
        return False
    if own.get("layers"):
        return ends_in_softmax(_last_layer(own))
    return config.get("class_name") == "Softmax" or _is_softmax(own.get("activation"))


def _last_layer(model: Mapping[str, Any]) -> Any:
    """Return the layer that makes a model's first output: of a Sequential model the last one."""
    output = model.get("output_layers")
    while isinstance(output, list) and output:
        output = output[0]
    named = [one for one in model["layers"] if output and one.get("name") == output]
    return named[0] if named else model["layers"][-1]


def _is_softmax(activation: Any) -> bool:
    """Tell whether a layer's activation is softmax, by its name or as a serialized function or layer."""
    if isinstance(activation, Mapping):
        return activation.get("class_name") == "Softmax" or activation.get("config") == "softmax"
    return bool(activation == "softmax")
