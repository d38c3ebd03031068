"""What the configuration in a `.keras` file may name: layers of Keras and of the project, and nothing that does more.

Keras 2 looks a class or function up by importing the module that the file names, and calls any function of TensorFlow
that an operator names, writing of files included; safe mode only refuses Lambda layers, and only in some places.

Source: TF-Keras 2.21, `saving/serialization_lib.py` (`_retrieve_class_or_fn`) and `layers/core/tf_op_layer.py`.
"""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CODE = frozenset(
    {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "TensorFlowOpLayer"}
    | {"ClassMethod", "InstanceMethod", "InstanceProperty", "TFClassMethodDispatcher"}
)
"""Layers that hold code, or call what they name."""

_KERAS = r"(tf_)?keras|tensorflow_model_optimization"
_TOOLS = r"utils|saving|callbacks|datasets|preprocessing|export|legacy|estimator|wrappers|distribute"
"""Parts of Keras that are no parts of a model: they download, read and write files."""
_FUNCTIONS = r"activations|losses|metrics|initializers|regularizers|constraints|ops"

_OPERATORS = (
    r"__operators__\.\w+|(compat\.v[12]\.)?((math|nn|linalg|signal|image|random|bitwise|sparse|ragged|strings)\.)?\w+"
)
"""The functions of TensorFlow that compute; `io`, `raw_ops`, `saved_model` and others do more."""
_DOES_MORE = frozenset(
    {"py_function", "numpy_function", "py_func", "load_library", "load_op_library", "print", "Print"}
)

_SIZES = frozenset({"units", "filters", "input_dim", "output_dim", "key_dim", "num_heads", "depth_multiplier"})
"""Sizes of weights: a layer has at least as many as each of them says."""


def check_config(config: Any, weights: int, path: Path, is_registered: Callable[[str], bool]) -> None:
    """Check that the configuration of a model names nothing but layers, and no more weights than there are.

    Args:
        config: what `config.json` holds.
        weights: how many numbers the file has as weights.
        path: the file, for messages.
        is_registered: whether the project has registered a class or function of that name with Keras.

    Raises:
        DataError: it names something else.
    """
    for one in _objects(config):
        reason = _reason(one, is_registered) if isinstance(one.get("class_name"), str) else ""
        if reason:
            msg = (
                f"{path}: {reason}\n"
                "  keep to layers of Keras; one of your own stands in the module of [tool.modelyard.model], or in one that it imports, "
                "outside of functions, under @register_keras_serializable()"
            )
            raise DataError(msg)
        if isinstance(one.get("vocabulary"), str):
            msg = f"{path}: a vocabulary is in the file {one['vocabulary']!r}\n  give the layer the words themselves"
            raise DataError(msg)
        large = {key: one[key] for key in _SIZES & one.keys() if isinstance(one[key], int) and one[key] > weights}
        if large:
            msg = f"{path}: says {large!r}, but holds {weights:,} weights\n  build the stage that wrote it again"
            raise DataError(msg)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _reason(one: dict[str, Any], is_registered: Callable[[str], bool]) -> str:
    """Return what is wrong with an object of the configuration, or nothing."""
    kind, module = one["class_name"], one.get("module")
    if kind in _CODE:
        return f"holds a {kind}, which can run any code"
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        function = str(one.get("config", {}).get("function"))
        calls = not re.fullmatch(_OPERATORS, function) or function.rpartition(".")[2] in _DOES_MORE
        return f"calls {function!r}, which can do more than compute" if calls else ""
    name = one.get("config") if kind == "function" else one.get("registered_name") or kind
    if module is None or is_registered(str(name)):
        return ""
    known = _is_function(str(module), str(name)) if kind == "function" else _is_class(str(module))
    return "" if known else f"names {name!r} of the module {module!r}, which is not registered and can run any code"


def _is_class(module: str) -> bool:
    first, *rest = module.split(".")
    return module == "builtins" or (
        bool(re.fullmatch(_KERAS, first)) and not any(re.fullmatch(_TOOLS, one) for one in rest)
    )


def _is_function(module: str, name: str) -> bool:
    if module == "builtins":  # Keras writes its own functions so, and those of Python would be found, too
        return not hasattr(builtins, name)
    return _is_class(module) and any(re.fullmatch(_FUNCTIONS, one) for one in module.split("."))
