"""Fit a PyTorch module, whatever the data set's loss; for training and for fine-tuning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.torch.callbacks import Callbacks
from modelyard_plugins.support.torch.calling import call, in_float32, many, place_of
from modelyard_plugins.support.torch.criteria import Criteria, Criterion, Sum, Weights
from modelyard_plugins.support.training import OPTIMIZERS, Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelyard.contexts import StageContext
    from modelyard.params import Precision
    from modelyard_plugins.support.own_training import Step as OwnStep
    from modelyard_plugins.support.torch.feed import Feed
    from modelyard_plugins.support.training import History


def make_optimizer(name: str, module: Any, learning_rate: float) -> Any:
    """Return what moves the weights of `module`: the one of `OPTIMIZERS` called `name`."""
    import torch

    return getattr(torch.optim, OPTIMIZERS[name])(module.parameters(), lr=learning_rate)


def falling(optimizer: Any, steps: int) -> Callable[[], None]:
    """Return what lets the learning rate of `optimizer` fall to 0 over `steps` steps, along half a cosine; call it after each.

    Source: Loshchilov and Hutter, "SGDR" (2017), without restarts; `keras.optimizers.schedules.CosineDecay`.
    """
    import torch

    step: Callable[[], None] = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps).step
    return step


class KeepBest:
    """Says when the validation loss no longer falls, and holds the weights of the epoch where it was lowest.

    Source: `keras.callbacks.EarlyStopping(restore_best_weights=True)`, so that both trainers stop at the same epoch.
    """

    def __init__(self, patience: int) -> None:
        """Stop after `patience` epochs without a lower loss."""
        self._patience, self._loss = patience, math.inf
        self.epoch = -1
        self.weights: dict[str, Any] = {}

    def is_over(self, epoch: int, loss: float, module: Any) -> bool:
        """Take note of the loss after `epoch` (from 0), and tell whether to stop."""
        if loss < self._loss:
            self._loss, self.epoch = loss, epoch
            self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        return epoch - self.epoch >= self._patience


def fit(
    module: Any,
    train: Feed,
    optimizer: Any,
    *,
    epochs: int,
    context: StageContext,
    criterion: Criterion | Criteria,
    validation: Feed | None = None,
    keeper: KeepBest | None = None,
    after_step: Callable[[], None] | None = None,
    precision: Precision = "float32",
    class_weights: Weights | None = None,
    step: OwnStep | None = None,
    callbacks: Callbacks | None = None,
) -> History:
    """Fit `module` and return its history.

    Args:
        module: the module; it is changed in place, and left in the mode that it came in.
        train: batches to learn from.
        optimizer: what moves the weights.
        epochs: how often to go through `train`, at most.
        context: where progress and a line an epoch go.
        criterion: what is made small.
        validation: batches to measure after each epoch, or None.
        keeper: decides, on the validation loss, when to stop; its best weights are put into the module at the end.
        after_step: called after each step.
        precision: what layers compute in while they learn.
        class_weights: what a sample of each class counts in the loss, by output; left out: each as much.
        step: what takes a step instead: `step(module, optimizer, inputs, targets)` returns figures of the batch by name.
        callbacks: what is told of epochs and batches.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    history: History = {"epoch": []}
    teller = Teller(context, epochs, len(train))
    step = step or _stepping(criterion.weighing(class_weights or {}), precision)
    told = callbacks or Callbacks()
    told.begin(module, optimizer)
    for epoch in range(epochs):
        teller.begin(epoch)
        told.tell("on_epoch_begin", epoch)
        figures = _epoch(module, train, optimizer, teller, after_step, step, told)
        if validation is not None:
            figures |= {f"val_{name}": value for name, value in measure(module, validation, criterion).items()}
        teller.end(figures)
        told.tell("on_epoch_end", epoch, logs=figures)
        history["epoch"].append(epoch + 1)
        for name, value in figures.items():
            history.setdefault(name, []).append(value)
        if (keeper is not None and keeper.is_over(epoch, figures["val_loss"], module)) or told.are_over:
            break
    told.end()
    if keeper is not None:
        module.load_state_dict(keeper.weights)
    return history


def _epoch(
    module: Any,
    train: Feed,
    optimizer: Any,
    teller: Teller,
    after_step: Callable[[], None] | None,
    step: OwnStep,
    told: Callbacks,
) -> dict[str, float]:
    means = _Means()
    for done, (inputs, labels) in enumerate(train):
        told.tell("on_train_batch_begin", done)
        means.add(step(module, optimizer, inputs, labels), many(labels))
        if after_step is not None:
            after_step()
        told.tell("on_train_batch_end", done)
        teller.step(done + 1)
    return means.read()


def _stepping(criterion: Criterion | Criteria, precision: Precision) -> OwnStep:
    """Return what takes a step down the loss of `criterion`, with layers that compute in `precision`."""
    import torch

    def step(module: Any, optimizer: Any, inputs: Any, labels: Any) -> dict[str, Any]:
        optimizer.zero_grad()
        with torch.autocast(place_of(labels).type, torch.bfloat16, enabled=precision == "bfloat16"):
            answer = in_float32(call(module, inputs))
        loss = criterion.loss(answer, labels)
        loss.backward()
        optimizer.step()
        return criterion.figures(loss, answer, labels)

    return step


def measure(module: Any, feed: Feed, criterion: Criterion | Criteria) -> dict[str, float]:
    """Return the loss and the second figure of `module`, in evaluation mode over `feed`."""
    import torch

    means = _Means()
    was_training = module.training
    module.eval()
    with torch.no_grad():
        for inputs, labels in feed:
            answer = call(module, inputs)
            means.add(criterion.figures(criterion.loss(answer, labels), answer, labels), many(labels))
    module.train(was_training)
    return means.read()


def _summed(value: Any, samples: int) -> Any:
    if isinstance(value, Sum):
        return value.value
    return (value.detach().double() if hasattr(value, "detach") else float(value)) * samples


class _Means:
    """The means of figures over all samples of an epoch; read once, so that a GPU need not wait each step."""

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}
        self._samples: dict[str, int] = {}

    def add(self, figures: Mapping[str, Any], samples: int) -> None:
        """Add the figures of a batch: tensors without an axis, or numbers."""
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0) + _summed(value, samples)
            self._samples[name] = self._samples.get(name, 0) + samples

    def read(self) -> dict[str, float]:
        return {name: float(value) / self._samples[name] for name, value in self._sums.items()}
