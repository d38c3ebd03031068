"""Write and read `.keras` files of the Keras 2 API, the same weights always as the same bytes.

Whoever looks at a project imports this with the plugins that do; what reading and writing need, is imported when they do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.artifacts import SampleShape


def check_model(model: Any, where: str, input_shape: SampleShape | None = None) -> None:
    """Check that `model` is a Sequential or Functional model of the Keras 2 API.

    A Sequential model that does not know the shape of its input yet is told `input_shape` (without the batch axis).

    Raises:
        PluginError: it is not; the message says what `where` gave instead.
    """
    import tf_keras

    from modelyard_plugins.support.keras.files import check_network

    hint = "build it with `import tf_keras` (the Keras 2 API), and return it"
    check_network(tf_keras, model, where, input_shape, what="a tf_keras model", hint=hint, is_complete=_is_complete)


def _is_complete(model: Any) -> bool:
    """Whether all shapes are known, which is also what pruning asks for; a subclassed model never is."""
    return bool(getattr(model, "_is_graph_network", False))


def save_keras(model: Any, path: Path) -> None:
    """Write the architecture and the weights of `model` to `path`: no optimizer state, no time stamp.

    Raises:
        PluginError: the model is neither Sequential nor Functional.
    """
    from modelyard_plugins.support.keras.archive import normalize_archive

    check_model(model, str(path))
    plain = type(model).from_config(model.get_config())
    plain.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "model.keras"
        plain.save(raw, save_format="keras")
        normalize_archive(raw, path)


def load_keras(path: Path) -> Any:
    """Read the model in `path`, not compiled. What could run code (a Lambda layer, a function by name) is refused.

    Raises:
        DataError: the file is damaged, holds a layer that is not known here, or what could run code.
    """
    import tf_keras

    from modelyard_plugins.support.keras.files import load

    return load(tf_keras, path, "a Keras model")
