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

ANY: tuple[Loss, ...] = (*LOSSES, "")
"""The same for the trainers, which take a loss or a step of the project's own where the task has none."""

FIGURES: dict[Loss, str] = {
    "cross-entropy": "accuracy",
    "binary-cross-entropy": "binary_accuracy",
    "squared-error": "mean_absolute_error",
    "absolute-error": "mean_absolute_error",
}
"""What the history holds beside each loss, by the names that Keras has for them."""


NO_LOSS = "name a loss, or a step, of your own; or import a model that is trained, or train by a command"
"""What to do where a task has no loss."""

_ACTIVATIONS: dict[Loss, Activation] = {"cross-entropy": "softmax", "binary-cross-entropy": "sigmoid"}
"""The activation that a loss goes with; the others go with none."""


def loss_of(facts: DatasetFacts, own: str = "") -> Loss:
    """Return the data set's loss; empty: the task has none, and what the project says is made small.

    Args:
        facts: those of the data set.
        own: the loss or the step of the project's own, or nothing.

    Raises:
        PluginError: it has none that can be trained with, or one that does not go with the answer's activation.
    """
    if own and not facts.loss:
        return facts.loss
    check_loss(f"the task {facts.task!r}", facts.loss, facts.answer.activation)
    return facts.loss


def check_loss(what: str, loss: Loss, activation: Activation) -> None:
    """Check that a loss is one to train with, for answers of `activation`; messages call what has it `what`.

    Raises:
        PluginError: it is not.
    """
    if loss not in LOSSES:
        msg = f"{what} has no loss to train with\n  {NO_LOSS}"
        raise PluginError(msg)
    fitting = _ACTIVATIONS.get(loss, "none")
    if activation != fitting:
        msg = (
            f"{what} has the loss {loss!r}, but its answers have the activation {activation!r}\n"
            f"  its plugin must say {fitting!r} with this loss"
        )
        raise PluginError(msg)
