"""Fit a PyTorch module, whatever the data set's loss; for training and for fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.artifacts import Output
from modelyard.tensors import Loss
from modelyard_plugins.support.losses import FIGURES, IGNORED
from modelyard_plugins.support.torch.callbacks import Callbacks
from modelyard_plugins.support.torch.calling import call
from modelyard_plugins.support.training import OPTIMIZERS, Teller

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import StageContext
    from modelyard.params import Precision
    from modelyard_plugins.support.own_training import Step as OwnStep
    from modelyard_plugins.support.torch.feed import Feed
    from modelyard_plugins.support.training import History

_OfBoth = Callable[[Any, Any], Any]
"""From answers, shape `(N, k)`, and targets, as `Dataset.y` says, to a tensor."""


class Criterion(NamedTuple):
    """What is made small, and what is told beside it.

    Attributes:
        loss: `loss(answers, targets, reduction="mean")`, as the functions of `torch.nn.functional` are called.
        figure: what the history calls the second figure; empty: there is none.
        sum_of: that figure's sum over the samples of a batch.
    """

    loss: Callable[..., Any]
    figure: str
    sum_of: _OfBoth

    @classmethod
    def of(cls, loss: Loss, output: Output, own: _OfBoth | None = None) -> Criterion:
        """Return the one for `loss` and a module that answers `output`; `own(answers, targets)` is made small instead."""
        is_logits = output == "logits"
        sums: dict[str, _OfBoth] = {
            "accuracy": _hits,
            "binary_accuracy": _binary_hits(0.0 if is_logits else 0.5),
            "mean_absolute_error": _distances,
        }
        made_small = _reduced(own or _nothing) if own or not loss else _LOSSES[loss, is_logits]
        figure = FIGURES.get(loss, "")
        return cls(made_small, figure, sums.get(figure, _nothing))

    def figures(self, loss: Any, answers: Any, targets: Any) -> dict[str, Any]:
        """Return the figures of a batch, by name: its mean `loss`, and what is told beside it."""
        beside = {self.figure: _Sum(self.sum_of(answers.detach(), targets))} if self.figure else {}
        return {"loss": loss, **beside}


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
    criterion: Criterion,
    validation: Feed | None = None,
    keeper: KeepBest | None = None,
    after_step: Callable[[], None] | None = None,
    precision: Precision = "float32",
    class_weights: NDArray[np.float32] | None = None,
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
        class_weights: what a sample of each class counts in the loss, shape `(classes,)`; None: each as much.
        step: what takes a step instead: `step(module, optimizer, inputs, targets)` returns figures of the batch by name.
        callbacks: what is told of epochs and batches.

    Raises:
        StageFailed: the loss or another figure is no longer a finite number.
    """
    history: History = {"epoch": []}
    teller = Teller(context, epochs, len(train))
    learnt = criterion if class_weights is None else criterion._replace(loss=_weighted(criterion.loss, class_weights))
    step = step or _stepping(learnt, precision)
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
        means.add(step(module, optimizer, inputs, labels), len(labels))
        if after_step is not None:
            after_step()
        told.tell("on_train_batch_end", done)
        teller.step(done + 1)
    return means.read()


def _stepping(criterion: Criterion, precision: Precision) -> OwnStep:
    """Return what takes a step down the loss of `criterion`, with layers that compute in `precision`."""
    import torch

    def step(module: Any, optimizer: Any, inputs: Any, labels: Any) -> dict[str, Any]:
        optimizer.zero_grad()
        with torch.autocast(labels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            answer = call(module, inputs)
        answer = answer.float()
        loss = criterion.loss(answer, labels)
        loss.backward()
        optimizer.step()
        return criterion.figures(loss, answer, labels)

    return step


def measure(module: Any, feed: Feed, criterion: Criterion) -> dict[str, float]:
    """Return the loss and the second figure of `module`, in evaluation mode over `feed`."""
    import torch

    means = _Means()
    was_training = module.training
    module.eval()
    with torch.no_grad():
        for inputs, labels in feed:
            answer = call(module, inputs)
            means.add(criterion.figures(criterion.loss(answer, labels), answer, labels), len(labels))
    module.train(was_training)
    return means.read()


def _nothing(answers: Any, targets: Any) -> Any:  # noqa: ARG001 - a step of the project's own makes small what it says
    return answers.sum() * 0


def _reduced(own: _OfBoth) -> Callable[..., Any]:
    """Return a loss of the project's own as the functions of `torch.nn.functional` are called."""

    def loss(answers: Any, targets: Any, reduction: str = "mean") -> Any:
        found = own(answers, targets)
        return found.mean() if reduction == "mean" else found

    return loss


def _loss_of_logits(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    import torch

    return torch.nn.functional.cross_entropy(
        logits.movedim(-1, 1), labels.long(), reduction=reduction, ignore_index=IGNORED
    )


def _loss_of_probabilities(probabilities: Any, labels: Any, reduction: str = "mean") -> Any:
    import torch

    least = torch.finfo(probabilities.dtype).tiny  # the logarithm of 0 has no gradient
    return torch.nn.functional.nll_loss(
        probabilities.clamp_min(least).log().movedim(-1, 1), labels.long(), reduction=reduction, ignore_index=IGNORED
    )


def _binary_loss_of_logits(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    import torch

    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction=reduction)


def _binary_loss_of_probabilities(probabilities: Any, labels: Any, reduction: str = "mean") -> Any:
    import torch

    wanted = labels.to(probabilities.dtype)
    return torch.nn.functional.binary_cross_entropy(probabilities, wanted, reduction=reduction)


def _squared_error(answers: Any, targets: Any, reduction: str = "mean") -> Any:
    import torch

    return torch.nn.functional.mse_loss(answers, targets, reduction=reduction)


def _absolute_error(answers: Any, targets: Any, reduction: str = "mean") -> Any:
    import torch

    return torch.nn.functional.l1_loss(answers, targets, reduction=reduction)


_LOSSES: dict[tuple[Loss, bool], Callable[..., Any]] = {
    ("cross-entropy", True): _loss_of_logits,
    ("cross-entropy", False): _loss_of_probabilities,
    ("binary-cross-entropy", True): _binary_loss_of_logits,
    ("binary-cross-entropy", False): _binary_loss_of_probabilities,
    ("squared-error", False): _squared_error,
    ("absolute-error", False): _absolute_error,
}
"""By the loss, and whether the module answers logits; what has no activation answers none."""


def _hits(answers: Any, labels: Any) -> Any:
    right = answers.argmax(-1) == labels
    if labels.ndim == 1:
        return right.sum()
    counted = (labels != IGNORED).flatten(1).sum(1)
    return (right.flatten(1).sum(1).double() / counted.clamp_min(1)).sum()


def _binary_hits(threshold: float) -> _OfBoth:
    def hits(answers: Any, labels: Any) -> Any:
        return ((answers > threshold) == (labels > 0)).double().mean(1).sum()

    return hits


def _distances(answers: Any, targets: Any) -> Any:
    return (answers.double() - targets.double()).abs().flatten(1).mean(1).sum()


def _weighted(loss_of: Callable[..., Any], class_weights: NDArray[np.float32]) -> _OfBoth:
    """Return the mean of weighted losses over all samples of a batch, as Keras takes it: not over the sum of the weights."""
    import torch

    weights = torch.from_numpy(class_weights)

    def weighted(answer: Any, labels: Any) -> Any:
        return (loss_of(answer, labels, reduction="none") * weights.to(labels.device)[labels]).mean()

    return weighted


class _Sum(NamedTuple):
    """A figure that is the sum over a batch's samples, not their mean: counts of them stay whole."""

    value: Any


def _summed(value: Any, samples: int) -> Any:
    if isinstance(value, _Sum):
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
