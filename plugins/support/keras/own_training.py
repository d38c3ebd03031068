"""A step and callbacks of the project's own, for a model of either Keras.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError
from modelyard_plugins.support.own_training import callbacks_of, own_step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelyard.contexts import TrainContext


def own_callbacks(keras: Any, name: str, context: TrainContext) -> list[Any]:
    """Return the callbacks that the project's function called `name` makes; none if it is empty.

    Raises:
        PluginError: one is no callback of this Keras.
    """
    found = callbacks_of(name, context)
    for one in found:
        if not isinstance(one, keras.callbacks.Callback):
            kind = f"{type(one).__module__}.{type(one).__qualname__}"
            msg = (
                f"[tool.modelyard.train]: key 'callbacks': {name} returned a {kind} among its callbacks\n"
                f"  each is a {keras.__name__}.callbacks.Callback"
            )
            raise PluginError(msg)
    return found


@contextlib.contextmanager
def stepping(keras: Any, model: Any, name: str) -> Iterator[list[Any]]:
    """Let `model` take the steps of the project's function called `name`, within the block; its own if that is empty.

    Args:
        keras: the package that the model is of.
        model: the compiled model.
        name: what the configuration calls the function.

    Yields:
        Callbacks that a fit needs for this.
    """
    step = own_step(name)
    if step is None:
        yield []
        return
    means = _Means(keras)

    def train_step(batch: tuple[Any, Any]) -> dict[str, Any]:
        inputs, targets = batch
        return means.add(step(model, model.optimizer, inputs, targets), targets)

    changed = {"train_step": train_step} | {name: _as_they_are for name in _READERS if hasattr(model, name)}
    for attribute, function in changed.items():
        setattr(model, attribute, function)  # `fit` asks the instance
    try:
        yield [means.forgetting()]
    finally:
        for attribute in changed:
            delattr(model, attribute)


_READERS = ("_get_metrics_result_or_logs", "_validate_and_get_metrics_result")
"""What Keras 3, and tf_keras, read an epoch's figures by: from the compiled metrics if they have the names that the step's have."""


def _as_they_are(figures: dict[str, Any]) -> dict[str, Any]:
    return figures


class _Means:
    """The means of figures over the samples of an epoch so far."""

    def __init__(self, keras: Any) -> None:
        self._keras = keras
        self._known: dict[str, Any] = {}

    def add(self, figures: Mapping[str, Any], targets: Any) -> dict[str, Any]:
        """Return the means with those of a batch; called while TensorFlow traces the step."""
        import tensorflow as tf

        samples = tf.shape(targets)[0]
        with tf.init_scope():  # their variables outlive the trace
            for name in figures.keys() - self._known.keys():
                self._known[name] = self._keras.metrics.Mean(name)
        for name, value in figures.items():
            self._known[name].update_state(tf.cast(value, tf.float32), sample_weight=samples)
        return {name: self._known[name].result() for name in figures}

    def forgetting(self) -> Any:
        """Return the callback that begins anew with each epoch."""
        known = self._known

        class Forgetting(self._keras.callbacks.Callback):  # type: ignore[misc,name-defined]  # Keras has no types
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes them
                for one in known.values():
                    one.reset_state()

        return Forgetting()
