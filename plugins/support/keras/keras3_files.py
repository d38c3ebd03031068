"""Check, write and read models of Keras 3, the same weights always as the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from modelyard.errors import DataError, PluginError
from modelyard_plugins.support.keras.archive import check_archive, normalize_archive

_OWN_LAYER = "a layer of your own needs @keras.saving.register_keras_serializable(), in a plugin's module"


def check_model(model: Any, where: str, input_shape: tuple[int, ...] | None = None) -> None:
    """Check that `model` is a Sequential or Functional model of Keras 3.

    A Sequential model that does not know the shape of its input yet is told `input_shape` (without the batch axis).

    Raises:
        PluginError: it is not; the message says what `where` gave instead.
    """
    import keras

    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        msg = (
            f"{where}: got a {kind}, not a model of Keras 3\n"
            "  build it with `import keras`, and return it; models of tf_keras have the trainer 'tensorflow'"
        )
        raise PluginError(msg)
    if input_shape is not None and isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *input_shape))
    if not getattr(model, "inputs", None):
        msg = (
            f"{where}: the model {model.name!r} is neither Sequential nor Functional\n"
            "  write it as keras.Sequential([keras.Input(shape), ...]) or keras.Model(inputs, outputs)"
        )
        raise PluginError(msg)


def check_savable(model: Any, where: str) -> None:
    """Check that `model` can be written and read again, before time is spent on it.

    Raises:
        PluginError: a layer cannot be read from a file.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_keras3(model, Path(folder) / "model.keras")
        except (DataError, OSError, ValueError, TypeError, NotImplementedError) as exc:
            reason = str(exc).partition("\n")[0] if isinstance(exc, DataError) else _reason(exc)
            msg = f"{where}: the model {model.name!r} cannot be saved: {reason}\n  {_OWN_LAYER}"
            raise PluginError(msg) from exc


def save_keras3(model: Any, path: Path) -> None:
    """Write the architecture and the weights of `model` to `path`: no optimizer state, no time stamp.

    Raises:
        DataError: what was written cannot be read again.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw, plain = Path(folder) / "raw.keras", Path(folder) / "plain.keras"
        model.save(raw)
        load_keras3(raw).save(plain)  # not compiled, so without the optimizer
        normalize_archive(plain, path)


def load_keras3(path: Path) -> Any:
    """Read the model in `path`, not compiled. What could run code (a Lambda layer, a function by name) is refused.

    Raises:
        DataError: the file is damaged, holds a layer that is not known here, or what could run code.
    """
    import keras

    try:
        check_archive(path, lambda name: keras.saving.get_registered_object(name) is not None)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except DataError:
        raise
    except Exception as exc:  # Keras, its backends and HDF5 have errors of their own for what they cannot read
        msg = f"{path}: cannot be read as a model of Keras 3: {_reason(exc)}\n  {_OWN_LAYER}"
        raise DataError(msg) from exc


def _reason(exc: Exception) -> str:
    """Return the line of Keras's message that says what is wrong; it may stand below a long configuration."""
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    mark = "Exception encountered: "
    return next((line.removeprefix(mark) for line in reversed(lines) if line.startswith(mark)), lines[0])
