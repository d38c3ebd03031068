"""The task `token-labels`: a class for each element of a sequence, for instance the part of speech of each word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.metrics import Quantity
from modelyard.task import Score, Scores, Task
from modelyard_plugins.support.positions import Confusion, PerPosition, mean, rate

if TYPE_CHECKING:
    from modelyard.hookspecs import RegisterTask
    from modelyard.tensors import OutputFacts

F1 = Quantity(name="f1", better="higher", unit="fraction", title="F1", worse="less exact", group="label", detail=0)
TOKEN_ACCURACY = Quantity(
    name="token_accuracy", better="higher", unit="fraction", worse="less accurate", group="label", sampled=True
)


class TokenLabels(PerPosition):
    """A class for each token: labels have the shape `(samples, tokens)`."""

    says = "sequences"
    position = "token"

    def accumulator(self, output: OutputFacts) -> _Tokens:
        """Return what measures it."""
        return _Tokens(output.labels)


class _Tokens(Confusion):
    """What is taken for what, and the figures of it, see `modelyard.task.Accumulator`."""

    def result(self) -> Scores:
        """Return F1 of each label and their mean, and how many tokens are right."""
        from modelyard.metrics.sampled import mean_of

        names, found, right = self.names, self.found, self.right
        hits, there, said = found.diagonal(), found.sum(axis=1), found.sum(axis=0)
        each = rate(2 * hits, there + said)
        f1 = F1.of(mean(each), None, dict(zip(names, each, strict=True)))
        accuracy = mean_of(TOKEN_ACCURACY, right, dict(zip(names, rate(hits, there), strict=True)))
        details = {"class_names": list(names), "confusion": found.tolist()}
        return Scores([Score(f1), Score(accuracy, right)], details)


def token_labels(*, ignore: int | None = None) -> Task:
    """A class for each token of a sequence: F1, and how many tokens are right, in all and of each label.

    Args:
        ignore: the label of tokens that do not count, for instance of the padding, -100; by default all count.
    """
    return TokenLabels(ignore)


@hookimpl
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register the task."""
    register(
        "token-labels",
        token_labels,
        metrics=(F1, TOKEN_ACCURACY),
        loss="cross-entropy",
        tools=("numpy",),
        deterministic=True,
    )
