"""Write and read `.keras` files of the Keras 2 API, the same weights always as the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.errors import DataError, PluginError
from modelyard_plugins.support.keras.archive import check_archive, normalize_archive


def check_model(model: Any, where: str, input_shape: tuple[int, ...] | None = None) -> None:
    """Check that `model` is a Sequential or Functional model of the Keras 2 API.

    A Sequential model that does not know the shape of its input yet is told `input_shape` (without the batch axis).

    Raises:
        PluginError: it is not; the message says what `where` gave instead.
    """
    import tf_keras

    if not isinstance(model, tf_keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        msg = (
            f"{where}: got a {kind}, not a tf_keras model\n"
            "  build it with `import tf_keras` (the Keras 2 API), and return it"
        )
        raise PluginError(msg)
    if input_shape is not None and isinstance(model, tf_keras.Sequential) and not _is_complete(model):
        model.build((None, *input_shape))
    if not _is_complete(model):
        msg = (
            f"{where}: the model {model.name!r} is neither Sequential (with an input shape) nor Functional\n"
            "  write it as tf_keras.Sequential([tf_keras.Input(shape), ...]) or tf_keras.Model(inputs, outputs)"
        )
        raise PluginError(msg)


def _is_complete(model: Any) -> bool:
    """Whether all shapes are known, which is also what pruning asks for; a subclassed model never is."""
    return bool(getattr(model, "_is_graph_network", False))


def save_keras(model: Any, path: Path) -> None:
    """Write the architecture and the weights of `model` to `path`: no optimizer state, no time stamp.

    Raises:
        PluginError: the model is neither Sequential nor Functional.
    """
    import tempfile

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

    try:
        check_archive(path, lambda name: tf_keras.saving.get_registered_object(name) is not None)
        return tf_keras.models.load_model(path, compile=False, safe_mode=True)
    except DataError:
        raise
    except Exception as exc:  # Keras, TensorFlow and HDF5 have errors of their own for what they cannot read
        msg = (
            f"{path}: cannot be read as a Keras model: {(str(exc).strip().splitlines() or [type(exc).__name__])[0]}\n"
            "  a layer of your own needs @tf_keras.saving.register_keras_serializable(), in a plugin's module"
        )
        raise DataError(msg) from exc
