"""Fit a Keras 2 model and tell the person at the terminal how it goes; for training and for fine-tuning."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.contexts import StageContext

History = dict[str, list[float]]
"""One list a figure (`loss`, `accuracy`, `val_loss` ...), one number an epoch; `epoch` counts from 1."""

_REPORT_EVERY_S = 0.2


def compile_classifier(model: Any, optimizer: Any) -> None:
    """Compile `model`, which answers logits, for integer labels."""
    import tf_keras

    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])


def fit(
    model: Any, train: Any, *, epochs: int, context: StageContext, validation: Any = None, callbacks: Sequence[Any] = ()
) -> History:
    """Fit a compiled model and return its history.

    Args:
        model: the model; it is changed in place.
        train: a `tf.data.Dataset` of batches whose number is known.
        epochs: how often to go through `train`, at most.
        context: where progress and a line an epoch go.
        validation: a `tf.data.Dataset` to measure after each epoch, or None.
        callbacks: further Keras callbacks.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    teller = _teller(context, epochs, int(train.cardinality()))
    fitted = model.fit(train, epochs=epochs, validation_data=validation, verbose=0, callbacks=[*callbacks, teller])
    figures = {name: [float(v) for v in values] for name, values in fitted.history.items()}
    return {"epoch": [e + 1 for e in fitted.epoch], **figures}


def last_figures(history: History, epoch: int = -1) -> dict[str, float]:
    """Return the figures of one epoch (by index), for `stage.json`; training figures are called `train_...`."""
    figures = {name: values[epoch] for name, values in history.items() if name != "epoch"}
    return {name if name.startswith("val_") else f"train_{name}": value for name, value in figures.items()}


def _teller(context: StageContext, epochs: int, steps: int) -> Any:
    """Return the Keras callback that reports progress and stops on a loss that is not finite."""
    import tf_keras

    class Teller(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
        def __init__(self) -> None:
            super().__init__()
            self._supports_tf_logs = True  # no figure is copied out of TensorFlow after each batch
            self.epoch, self.note, self.told, self.began = 0, "", 0.0, 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            self.epoch, self.began = epoch, time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            now = time.monotonic()
            if now - self.told >= _REPORT_EVERY_S:
                self.told = now
                context.progress(self.epoch + (batch + 1) / steps, epochs, unit="epochs", note=self.note)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            self.note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
            context.log(f"epoch {epoch + 1}/{epochs}  {self.note}  {time.monotonic() - self.began:.1f} s")
            context.progress(epoch + 1, epochs, unit="epochs", note=self.note)
            if not all(map(math.isfinite, figures.values())):
                msg = f"epoch {epoch + 1}: a figure is not finite: {self.note}\n  try a smaller learning_rate"
                raise StageFailed(msg)

    return Teller()
