"""Check and read models of either Keras. The package, `tf_keras` or `keras`, is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError, PluginError
from modelyard_plugins.support.keras.archive import check_archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelyard.artifacts import SampleShape


def check_network(
    keras: Any,
    model: Any,
    where: str,
    input_shape: SampleShape | None,
    *,
    what: str,
    hint: str,
    is_complete: Callable[[Any], bool],
) -> None:
    """Check that `model` is a Sequential or Functional model of `keras`.

    A Sequential model that does not know the shape of its input yet is told `input_shape` (without the batch axis).

    Args:
        keras: the package.
        model: what the project's code returned.
        where: where that is, for the message.
        input_shape: of one sample; None: the model has to know it already.
        what: what it should be, for the message.
        hint: how to come by one.
        is_complete: whether a model knows all its shapes, which a subclassed model never does.

    Raises:
        PluginError: it is not; the message says what `where` gave instead.
    """
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        msg = f"{where}: got a {kind}, not {what}\n  {hint}"
        raise PluginError(msg)
    if isinstance(input_shape, tuple) and isinstance(model, keras.Sequential) and not is_complete(model):
        model.build((None, *input_shape))
    if not is_complete(model):
        name = keras.__name__
        msg = (
            f"{where}: the model {model.name!r} is neither Sequential (with an input shape) nor Functional\n"
            f"  write it as {name}.Sequential([{name}.Input(shape), ...]) or {name}.Model(inputs, outputs)"
        )
        raise PluginError(msg)
    _check_layers(keras, model, where)


def _check_layers(keras: Any, model: Any, where: str) -> None:
    """Check that each layer's class can be found by who reads the model from a file: a function's own cannot.

    Raises:
        PluginError: one cannot.
    """
    for layer in model._flatten_layers(include_self=False):  # noqa: SLF001 - the only list of those inside others, too
        kind = type(layer).__qualname__
        if "<locals>" in kind:
            msg = f"{where}: the layer {layer.name!r} is a {kind}, which is there only while its function runs\n  {own_layer(keras)}"
            raise PluginError(msg)


def load(keras: Any, path: Path, what: str) -> Any:
    """Read the model in `path` with `keras`, not compiled. What could run code (a Lambda layer, a function by name) is refused.

    Args:
        keras: the package.
        path: the `.keras` file.
        what: what it should hold, for the message.

    Raises:
        DataError: the file is damaged, holds a layer that is not known here, or what could run code.
    """
    try:
        check_archive(path, lambda name: keras.saving.get_registered_object(name) is not None)
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except DataError:
        raise
    except Exception as exc:  # Keras, its backends and HDF5 have errors of their own for what they cannot read
        msg = f"{path}: cannot be read as {what}: {reason(exc)}\n  {own_layer(keras)}"
        raise DataError(msg) from exc


def own_layer(keras: Any) -> str:
    """Return what a layer of the project's own needs, to be read from a file."""
    return f"a layer of your own needs @{keras.__name__}.saving.register_keras_serializable(), outside of functions"


def reason(exc: Exception) -> str:
    """Return the line of Keras's message that says what is wrong; it may stand below a long configuration."""
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    mark = "Exception encountered: "
    return next((line.removeprefix(mark) for line in reversed(lines) if line.startswith(mark)), lines[0])
