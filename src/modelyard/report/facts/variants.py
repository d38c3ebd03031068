"""What a report says of each variant."""

from __future__ import annotations

import msgspec

from modelyard.metrics import Metric
from modelyard.report.facts.build import State


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """`count` test samples of the class `label` were taken for `answer`."""

    label: str
    answer: str
    count: int


class ConfusionMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of a confusion matrix that are not 0: `count[k]` test samples of class `label[k]` were taken for `answer[k]`.

    The three are as long as there are such cells, by label and then by answer; classes are numbers from 0, in the order
    of `class_names`. `pandas.DataFrame(matrix)` and `scipy.sparse.coo_array((count, (label, answer)))` read them as
    they are.
    """

    label: tuple[int, ...]
    answer: tuple[int, ...]
    count: tuple[int, ...]


class PartFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of classes of one of several outputs, or of a further test set; the fields are those of `VariantFacts`.

    Attributes:
        output: the output's name; empty: there is one.
        test_set: the test set's name; empty: the test split.
    """

    output: str
    test_set: str
    class_names: tuple[str, ...]
    accuracy: float | None
    per_class: tuple[float | None, ...]
    confusion_matrix: ConfusionMatrix
    confusions: tuple[Confusion, ...]


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """How a variant's answers to the test samples differ from the baseline's.

    Attributes:
        differ: samples that the two label differently.
        broken: of those, the baseline was right and the variant is wrong.
        mended: of those, the baseline was wrong and the variant is right.
        p_value: how likely chance alone makes the two accuracies differ so much: McNemar's test, mid-p; None in a
            report of an older version.
    """

    differ: int
    broken: int
    mended: int
    p_value: float | None = None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value and its 95 % interval; an end is None if there were too few calls to say."""

    value: float
    low: float | None = None
    high: float | None = None


class VariantFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One variant, as it was measured through the runtime that serves it.

    Attributes:
        name: the variant's name.
        training: the training that it is made of; empty in a project with one.
        baseline: the variant that it is compared with, that of its own training; empty in a report of an older version.
        steps: its model optimizers, each with the parameters that are not the defaults.
        samples: test samples.
        accuracy: fraction of them that it labels rightly; None if the task has no classes.
        class_names: one name a class, in the order of the labels; none if the task has no names.
        per_class: its accuracy on each class, None without a sample; none if the task has no classes.
        size_bytes: size of the model's file.
        gzip_bytes: its size after gzip at level 9.
        layer_bytes: size of its layer in an image, as gzip makes it; None in a report of an older version.
        p50_ms: half of the calls with one sample took no longer, in milliseconds.
        p99_ms: 99 of 100 calls took no longer.
        latency_ratio: its median latency as a part of the baseline's, measured in turns with it; None for the baseline.
        misses: each gate that it misses, with its value and the bound.
        undecided: each gate whose bound lies within the noise, and whether it passes.
        warnings: what its model optimizers warned of.
        compared_with: the variant that its quality is compared with: the baseline, or one that was trained as long.
        trained_unlike: why that is not one that was trained as long, where one was wanted; else empty.
        control: whether it is there for that comparison only.
        is_pareto: no other variant is at least as good in all that is measured, and better in something.
        dominated_by: the variants that are.
        confusion_matrix: all its answers by class; None if the task tells none, or in a report of an older version.
        confusions: its most frequent mistakes, at most 20.
        parts: what is told of the classes of each of several outputs, and of each further test set.
        against_baseline: how the classes that it answers differ from the baseline's; None for the baseline, if that is
            not measured, or if answers are no classes.
        state: of the stage that measured it: what is told of a variant is of now only if that is up to date.
        metrics: all that was measured of it, the task's own quality first; none in a report of an older version.
    """

    name: str
    steps: tuple[str, ...]
    samples: int
    size_bytes: int
    gzip_bytes: int
    p50_ms: Interval
    p99_ms: Interval
    accuracy: float | None = None
    class_names: tuple[str, ...] = ()
    per_class: tuple[float | None, ...] = ()
    layer_bytes: int | None = None
    latency_ratio: Interval | None = None
    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    compared_with: str = ""
    trained_unlike: str = ""
    control: bool = False
    training: str = ""
    baseline: str = ""
    is_pareto: bool = False
    dominated_by: tuple[str, ...] = ()
    confusion_matrix: ConfusionMatrix | None = None
    confusions: tuple[Confusion, ...] = ()
    parts: tuple[PartFacts, ...] = ()
    against_baseline: Against | None = None
    state: State = "up-to-date"
    metrics: tuple[Metric, ...] = ()

    @property
    def quality(self) -> Metric:
        """What the task counts most."""
        return self.metrics[0]

    def metric(self, name: str) -> Metric | None:
        """Return the metric called `name`; None if it was not measured, as of a variant that is stale."""
        return next((one for one in self.metrics if one.name == name), None)
