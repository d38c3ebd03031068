"""What a PyTorch module is trained to make small, and what is told beside it: of one output, or of several together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from modelyard.tensors import Loss
from modelyard_plugins.support.heads import heads_of
from modelyard_plugins.support.losses import FIGURES, IGNORED, loss_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import ModelFacts
    from modelyard.contexts import OptimizeContext, TrainContext
    from modelyard_plugins.support.heads import Head

OfBoth = Callable[[Any, Any], Any]
"""From answers, shape `(N, k)`, and targets, as `Dataset.y` says, to a tensor; of several outputs from dicts of these."""
Weights = Mapping[str, "NDArray[np.float32]"]
"""What a sample of each class counts, shape `(classes,)`, by the output's name."""


class Criterion(NamedTuple):
    """What is made small, and what is told beside it.

    Attributes:
        loss: `loss(answers, targets, reduction="mean")`, as the functions of `torch.nn.functional` are called.
        figure: what the history calls the second figure; empty: there is none.
        sum_of: that figure's sum over the samples of a batch.
    """

    loss: Callable[..., Any]
    figure: str
    sum_of: OfBoth

    @classmethod
    def of(cls, loss: Loss, *, is_logits: bool, own: OfBoth | None = None) -> Self:
        """Return the one for `loss` and a module that answers logits, or not; `own(answers, targets)` is made small instead."""
        sums: dict[str, OfBoth] = {
            "accuracy": _hits,
            "binary_accuracy": _binary_hits(0.0 if is_logits else 0.5),
            "mean_absolute_error": _distances,
        }
        made_small = _reduced(own or _nothing) if own or not loss else _LOSSES[loss, is_logits]
        figure = FIGURES.get(loss, "")
        return cls(made_small, figure, sums.get(figure, _nothing))

    def weighing(self, class_weights: Weights) -> Self:
        """Return the same for samples that count by their class."""
        weights = next(iter(class_weights.values()), None)
        return self if weights is None else self._replace(loss=_weighted(self.loss, weights))

    def figures(self, loss: Any, answers: Any, targets: Any) -> dict[str, Any]:
        """Return the figures of a batch, by name: its mean `loss`, and what is told beside it."""
        beside = {self.figure: Sum(self.sum_of(answers.detach(), targets))} if self.figure else {}
        return {"loss": loss, **beside}


class Criteria(NamedTuple):
    """What is made small of several outputs: the sum of their losses, each times its weight.

    Attributes:
        each: what is made small of each, by its name.
        weights: what its loss counts.
        own: a function of the project's own that is made small instead, of dicts of answers and targets by name.
    """

    each: Mapping[str, Criterion]
    weights: Mapping[str, float]
    own: OfBoth | None = None

    @classmethod
    def of(cls, heads: Mapping[str, Head], own: OfBoth | None = None) -> Self:
        """Return the one for these outputs."""
        each = {name: Criterion.of(head.loss, is_logits=head.is_logits) for name, head in heads.items()}
        return cls(each, {name: head.weight for name, head in heads.items()}, own)

    def weighing(self, class_weights: Weights) -> Self:
        """Return the same for samples that count by their class, in the loss of each output that has classes."""
        given = ((name, one, class_weights.get(name)) for name, one in self.each.items())
        weighed = {name: one if own is None else one.weighing({name: own}) for name, one, own in given}
        return self._replace(each=weighed)

    def loss(self, answers: Mapping[str, Any], targets: Mapping[str, Any]) -> Any:
        """Return the mean loss of a batch."""
        if self.own is not None:
            return self.own(answers, targets).mean()
        return sum(self.weights[name] * one.loss(answers[name], targets[name]) for name, one in self.each.items())

    def figures(self, loss: Any, answers: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, Any]:
        """Return the figures of a batch, by name: its mean `loss`, and of each output its own and what is told beside it."""
        found = {"loss": loss}
        for name, one in self.each.items():
            part = answers[name].detach(), targets[name]
            figures = one.figures(one.loss(*part), *part)
            found |= {f"{name}_{figure}": value for figure, value in figures.items()}
        return found


def criterion_of(
    context: TrainContext | OptimizeContext, facts: ModelFacts, own: OfBoth | None = None, said: str = ""
) -> Criterion | Criteria:
    """Return what is made small of what the project learns.

    Args:
        context: the data set, and what each loss counts.
        facts: what the module answers.
        own: a function of the project's own that is made small instead.
        said: the loss, or the step, of the project's own, which needs none of the task; or nothing.

    Raises:
        PluginError: there is no loss to train with.
    """
    if context.dataset.facts.losses:
        return Criteria.of(heads_of(context, facts, said), own)
    return Criterion.of(loss_of(context.dataset.facts, said), is_logits=facts.output == "logits", own=own)


class Sum(NamedTuple):
    """A figure that is the sum over a batch's samples, not their mean: counts of them stay whole."""

    value: Any


def _nothing(answers: Any, targets: Any) -> Any:  # noqa: ARG001 - a step of the project's own makes small what it says
    return answers.sum() * 0


def _reduced(own: OfBoth) -> Callable[..., Any]:
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


def _binary_hits(threshold: float) -> OfBoth:
    def hits(answers: Any, labels: Any) -> Any:
        return ((answers > threshold) == (labels > 0)).double().mean(1).sum()

    return hits


def _distances(answers: Any, targets: Any) -> Any:
    return (answers.double() - targets.double()).abs().flatten(1).mean(1).sum()


def _weighted(loss_of: Callable[..., Any], class_weights: NDArray[np.float32]) -> OfBoth:
    """Return the mean of weighted losses over all samples of a batch, as Keras takes it: not over the sum of the weights."""
    import torch

    weights = torch.from_numpy(class_weights)

    def weighted(answer: Any, labels: Any) -> Any:
        return (loss_of(answer, labels, reduction="none") * weights.to(labels.device)[labels]).mean()

    return weighted
