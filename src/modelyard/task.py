"""What is learnt: what the labels are, what a model must answer to them, and how well it does.

A task is a class derived from `Task`, whose methods know one kind of problem. Arrays are numpy arrays; those of a whole
split are memory-mapped, so that a task that looks at them block by block needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import msgspec

from modelyard.errors import PluginError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits
    from modelyard.metrics import Metric
    from modelyard.tensors import OutputFacts


_BLOCK_BYTES = 64 << 20
"""How many bytes of answers are in memory at a time, or one answer if that is larger."""


class Answers(msgspec.Struct, frozen=True):
    """What a model answered to the test split.

    Attributes:
        own: its answers, shape `(samples, *output.shape)`, in the order of the split.
        labels: the labels, shape `(samples, ...)`; None: the data set has none.
        output: what the answers are.
        baseline: the answers of the baseline, if the task asks for them (see `Task.looks_at_baseline`); `own` of the
            baseline itself.
    """

    own: NDArray[Any]
    labels: NDArray[Any] | None
    output: OutputFacts
    baseline: NDArray[Any] | None = None

    def parts(self, rows: int) -> Iterator[Answers]:
        """Yield the answers to `rows` samples at a time, or fewer if they are large, in memory, in the order of the split."""
        import numpy as np

        rows = min(rows, max(1, _BLOCK_BYTES * len(self.own) // max(1, self.own.nbytes)))
        for start in range(0, len(self.own), rows):
            part = slice(start, start + rows)
            own, labels, other = (
                None if one is None else np.asarray(one[part]) for one in (self.own, self.labels, self.baseline)
            )
            assert own is not None
            yield Answers(own, labels, self.output, other)


class Score(NamedTuple):
    """One metric as it was measured.

    Attributes:
        metric: the value; it must be the same every time.
        per_sample: its value for each test sample, shape `(samples,)`, of which it is the mean: two variants are then
            compared in pairs. None: it is no mean of such values.
    """

    metric: Metric
    per_sample: NDArray[Any] | None = None


class Scores(msgspec.Struct, frozen=True):
    """What was measured.

    Attributes:
        scores: the metrics, in the order of those that the task is registered with.
        details: what `evaluation.json` shall say beside, as JSON can hold it, for instance a confusion matrix.
    """

    scores: Sequence[Score]
    details: Mapping[str, Any] = {}


class Accumulator(Protocol):
    """What a task found in the samples so far. It keeps what its figures are made of, not the answers.

    Samples may be given in blocks of any size; and what was found of a split in parts, one accumulator each, is the same
    as what one finds of the whole: `modelyard.testing.check_task` tries it.
    """

    def update(self, block: Answers) -> None:
        """Look at further samples, those that follow the ones before; they are in memory."""

    def merge(self, later: Self) -> None:
        """Take what another one found of the samples that follow this one's; it is not asked again."""

    def result(self) -> Scores:
        """Return how good the answers to all samples so far are, one or more."""


class MetricAccumulator(Protocol):
    """What a metric found in the samples so far. It keeps what its figure is made of, not the answers.

    Samples may be given in blocks of any size; and what was found of a split in parts, one accumulator each, is the same
    as what one finds of the whole, whichever neighbours are merged first: `modelyard.testing.check_metric` tries it.
    """

    def update(self, block: Answers) -> None:
        """Look at further samples, those that follow the ones before; they are in memory. `block.baseline` is None."""

    def merge(self, later: Self) -> None:
        """Take what another one found of the samples that follow this one's; it is not asked again."""

    def result(self) -> Any:
        """Return what was measured: whatever a metric's function may return but an accumulator."""


class Agreement(NamedTuple):
    """How two models' answers to the same samples differ.

    Attributes:
        differ: how many samples the two do not say the same of.
        worst: the largest difference between two numbers; what it may be is `[tool.modelyard.check] tolerance`.
    """

    differ: int
    worst: float


class Task:
    """What is learnt. A task derives from this and says at least `check`, and either `accumulator` or `measure`.

    Attributes:
        says: what a sample is told, in the plural, for messages: `labels`.
        number: one number of an answer, for messages: `a probability`.
        looks_at_baseline: whether the baseline's answers are wanted beside the variant's own.
        follows: whether labels and answers have a position for each of a sample's along its first axis.
        block: how many samples an accumulator looks at at a time, at most.
    """

    says = "answers"
    number = "a number"
    looks_at_baseline = False
    follows = False
    block = 1024

    def check(self, splits: Splits) -> OutputFacts:
        """Return what a model must answer to these splits, whose samples are sound.

        Raises:
            DataError: the labels are not those of such a task; the message says which, where, and what to do.
        """
        raise NotImplementedError

    def given(self, output: OutputFacts) -> OutputFacts:
        """Return what is measured where a handler behind the model gives it; by default the same as the model's `output`."""
        return output

    def stored(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return labels in the type in which they are kept, shape `(samples, ...)`."""
        return labels

    def counts(self, labels: NDArray[Any], output: OutputFacts) -> tuple[int, ...]:  # noqa: ARG002 - of no use here
        """Return how many samples have each of the output's labels; none where that means nothing."""
        return ()

    def check_answers(self, answers: NDArray[Any], first: int) -> None:
        """Check that a block of answers, the first to sample `first`, can be some.

        Raises:
            PluginError: they cannot.
        """
        import numpy as np

        finite = np.isfinite(answers).reshape(len(answers), -1).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            msg = f"the answer to test sample {first + row} is not finite: {answers[row].ravel()[:8].tolist()}"
            raise PluginError(msg)

    def accumulator(self, output: OutputFacts) -> Accumulator:
        """Return what measures answers of `output` block by block, and has seen none yet."""
        raise NotImplementedError

    def measure(self, answers: Answers) -> Scores:
        """Return how good the answers to the test split are; by default what an accumulator finds in them.

        A task whose figures need several samples at once, such as neighbours, has this instead of an accumulator.
        """
        found = self.accumulator(answers.output)
        for block in answers.parts(self.block):
            found.update(block)
        return found.result()

    def agreement(self, own: NDArray[Any], other: NDArray[Any]) -> Agreement:
        """Return how the answers of two models to the same samples differ, both of the shape `(samples, ...)`.

        Numbers above 1 count relative to their size: what is left of a rounding grows with them.
        """
        import numpy as np

        apart = np.abs(own.astype(np.float64) - other) / np.maximum(1, np.abs(other))
        return Agreement(differ=0, worst=float(apart.max(initial=0.0)))
