"""Steps that are not Keras's own, and callbacks of the project's own, for a model of either Keras.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError
from modelyard_plugins.support.own_training import callbacks_of, own_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import TrainContext


Steps = Mapping[str, Callable[[Any], Mapping[str, Any]]]
"""`train_step` and `test_step`: what takes a batch of inputs and targets, and returns its figures by name."""


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


def train_step_of(model: Any, name: str) -> Steps:
    """Return the step of `model` that the project's function called `name` takes; none if it is empty."""
    step = own_step(name)
    if step is None:
        return {}

    def train_step(batch: tuple[Any, Any]) -> Mapping[str, Any]:
        inputs, targets = batch
        return step(model, model.optimizer, inputs, targets)

    return {"train_step": train_step}


@contextlib.contextmanager
def stepping(keras: Any, model: Any, steps: Steps) -> Iterator[list[Any]]:
    """Let `model` take `steps` in place of its own, within the block.

    Args:
        keras: the package that the model is of.
        model: the compiled model.
        steps: what takes a batch, by what Keras calls it.

    Yields:
        Callbacks that a fit needs for this.
    """
    if not steps:
        yield []
        return
    means = {name: _Means(keras, step) for name, step in steps.items()}
    changed: dict[str, Callable[..., Any]] = {name: one.step for name, one in means.items()}
    changed |= {name: _as_they_are for name in _READERS if hasattr(model, name)}
    for attribute, function in changed.items():
        setattr(model, attribute, function)  # `fit` asks the instance
    try:
        yield [one.forgetting() for one in means.values()]
    finally:
        for attribute in changed:
            delattr(model, attribute)


_READERS = ("_get_metrics_result_or_logs", "_validate_and_get_metrics_result")
"""What Keras 3, and tf_keras, read an epoch's figures by: from the compiled metrics if they have the names that the step's have."""


def _as_they_are(figures: dict[str, Any]) -> dict[str, Any]:
    return figures


class _Means:
    """The means of figures over the samples of an epoch so far."""

    def __init__(self, keras: Any, step: Callable[[Any], Mapping[str, Any]]) -> None:
        self._keras, self._step = keras, step
        self._known: dict[str, Any] = {}

    def step(self, batch: Any) -> dict[str, Any]:
        """Take the step, and return the means with its figures; called while TensorFlow traces it."""
        import tensorflow as tf

        figures = self._step(batch)
        samples = tf.shape(tf.nest.flatten(batch[1])[0])[0]
        with tf.init_scope():  # their variables outlive the trace
            for name in figures.keys() - self._known.keys():
                self._known[name] = self._keras.metrics.Mean(name)
        for name, value in figures.items():
            self._known[name].update_state(tf.cast(value, tf.float32), sample_weight=samples)
        return {name: self._known[name].result() for name in figures}

    def forgetting(self) -> Any:
        """Return the callback that begins anew with each epoch, and each time that a model is measured."""
        known = self._known

        class Forgetting(self._keras.callbacks.Callback):  # type: ignore[misc,name-defined]  # Keras has no types
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
                self.on_test_begin(logs)

            def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
                for one in known.values():
                    one.reset_state()

        return Forgetting()
