"""Check, write and read models of Keras 3, the same weights always as the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, PluginError
from modelyard_plugins.support.keras.archive import normalize_archive
from modelyard_plugins.support.keras.files import check_network, load, own_layer, reason

if TYPE_CHECKING:
    from modelyard.artifacts import SampleShape

_WHAT = "a model of Keras 3"


def check_model(model: Any, where: str, input_shape: SampleShape | None = None) -> None:
    """Check that `model` is a Sequential or Functional model of Keras 3.

    A Sequential model that does not know the shape of its input yet is told `input_shape` (without the batch axis).

    Raises:
        PluginError: it is not; the message says what `where` gave instead.
    """
    import keras

    hint = "build it with `import keras`, and return it; models of tf_keras have the trainer 'tensorflow'"
    check_network(keras, model, where, input_shape, what=_WHAT, hint=hint, is_complete=_is_complete)


def _is_complete(model: Any) -> bool:
    return bool(getattr(model, "inputs", None))


def check_savable(model: Any, where: str) -> None:
    """Check that `model` can be written and read again, before time is spent on it.

    Raises:
        PluginError: a layer cannot be read from a file.
    """
    import keras

    with tempfile.TemporaryDirectory() as folder:
        try:
            save_keras3(model, Path(folder) / "model.keras")
        except (DataError, OSError, ValueError, TypeError, NotImplementedError) as exc:
            why = str(exc).partition("\n")[0] if isinstance(exc, DataError) else reason(exc)
            msg = f"{where}: the model {model.name!r} cannot be saved: {why}\n  {own_layer(keras)}"
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

    return load(keras, path, _WHAT)
