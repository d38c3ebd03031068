"""What the built-in trainers make small, and the figure that they tell beside it. Imports no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import PluginError
from modelyard.tensors import Activation, Loss

if TYPE_CHECKING:
    from modelyard.artifacts import DatasetFacts

IGNORED = -1
"""The label of a position that does not count, where an answer has several."""

LOSSES: tuple[Loss, ...] = ("cross-entropy", "binary-cross-entropy", "squared-error", "absolute-error")
"""What the trainers know, and the model optimizers that train: the trait `losses`."""

FIGURES: dict[Loss, str] = {
    "cross-entropy": "accuracy",
    "binary-cross-entropy": "binary_accuracy",
    "squared-error": "mean_absolute_error",
    "absolute-error": "mean_absolute_error",
}
"""What the history holds beside each loss, by the names that Keras has for them."""


_ACTIVATIONS: dict[Loss, Activation] = {"cross-entropy": "softmax", "binary-cross-entropy": "sigmoid"}
"""The activation that a loss goes with; the others go with none."""


def loss_of(facts: DatasetFacts) -> Loss:
    """Return the data set's loss.

    Raises:
        PluginError: it has none that can be trained with, or one that does not go with the answer's activation.
    """
    loss, activation = facts.loss, facts.answer.activation
    if loss not in LOSSES:
        msg = f"the task {facts.task!r} has no loss to train with\n  import a model that is trained, or train by a command"
        raise PluginError(msg)
    fitting = _ACTIVATIONS.get(loss, "none")
    if activation != fitting:
        msg = (
            f"the task {facts.task!r} has the loss {loss!r}, but its answers have the activation {activation!r}\n"
            f"  its plugin must say {fitting!r} with this loss"
        )
        raise PluginError(msg)
    return loss
