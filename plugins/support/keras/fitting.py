"""Fit a model of either Keras and tell the person at the terminal how it goes; for training and for fine-tuning.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.heads import Head
from modelyard_plugins.support.keras.figures import binary_accuracy, loss_of_head, position_accuracy
from modelyard_plugins.support.losses import FIGURES
from modelyard_plugins.support.training import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelyard.artifacts import Output
    from modelyard.contexts import StageContext
    from modelyard.tensors import Loss
    from modelyard_plugins.support.training import History


def compile_model(
    keras: Any,
    model: Any,
    optimizer: Any,
    loss: Loss,
    output: Output,
    own: Callable[[Any, Any], Any] | None = None,
) -> None:
    """Compile `model`, which answers logits or probabilities (or neither), for the targets that go with `loss`.

    Args:
        keras: the package that the model is of.
        model: the model.
        optimizer: what moves the weights.
        loss: the data set's loss, which says what is told beside it.
        output: what the model answers.
        own: what is made small instead: `own(targets, answers)`.
    """
    is_logits, per_position = output == "logits", len(model.output_shape) > 2
    figure: Any = FIGURES.get(loss)
    if loss == "binary-cross-entropy":
        figure = binary_accuracy(0.0 if is_logits else 0.5)
    elif loss == "cross-entropy" and per_position:
        figure = position_accuracy
    made_small = own
    if own is None and loss:  # a step of the project's own needs none
        made_small = loss_of_head(keras, Head(loss, 1.0, is_logits, per_position))
    if model.compute_dtype != "float32":
        made_small = _in_float32(made_small)
    # XLA's kernels, which Keras 3 would take where it can, are not deterministic
    figures = [figure] if figure else []
    model.compile(optimizer=optimizer, loss=made_small, metrics=figures, jit_compile=False)


def _in_float32(loss: Any) -> Any:
    """Return `loss` of answers in float32, whatever the model computes in."""
    import tensorflow as tf

    def in_float32(targets: Any, answers: Any) -> Any:
        return loss(targets, tf.cast(answers, tf.float32))

    return in_float32


def fit(
    keras: Any,
    model: Any,
    train: Any,
    *,
    epochs: int,
    context: StageContext,
    validation: Any = None,
    callbacks: Sequence[Any] = (),
) -> History:
    """Fit a compiled model and return its history.

    Args:
        keras: the package that the model is of.
        model: the model; it is changed in place.
        train: a `tf.data.Dataset` of batches whose number is known.
        epochs: how often to go through `train`, at most.
        context: where progress and a line an epoch go.
        validation: a `tf.data.Dataset` to measure after each epoch, or None.
        callbacks: further Keras callbacks.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    telling = _telling(keras, Teller(context, epochs, int(train.cardinality())))
    fitted = model.fit(train, epochs=epochs, validation_data=validation, verbose=0, callbacks=[*callbacks, telling])
    figures = {name: [float(v) for v in values] for name, values in fitted.history.items()}
    return {"epoch": [e + 1 for e in fitted.epoch], **figures}


def _telling(keras: Any, teller: Teller) -> Any:
    """Return the Keras callback that lets `teller` tell."""

    class Telling(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self._supports_tf_logs = True  # tf_keras then copies no figure out of TensorFlow after each batch

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            teller.begin(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            teller.step(batch + 1)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            teller.end({name: float(value) for name, value in (logs or {}).items()})

    return Telling()
