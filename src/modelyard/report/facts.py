"""`report.json`: what a report says, in numbers. The schema is versioned; see docs/reference/report.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.errors import DataError
from modelyard.files.json import decode
from modelyard.metrics import Metric
from modelyard.variants.over_seeds import OverSeeds

SCHEMA = "modelyard.report/1"
"""Fields are added under the same name; a field that changes its meaning or goes makes it `/2`."""

State = Literal["up-to-date", "stale", "maybe", "missing"]
How = Literal["built", "restored", "accepted", ""]


class ProjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was built, and at which commit.

    Attributes:
        name: the project's name.
        version: the project's version.
        commit: the git commit of the working tree; empty outside git.
        clean: whether the tree had no changes; None outside git.
    """

    name: str
    version: str
    commit: str
    clean: bool | None


class StageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the build.

    Attributes:
        stage: `kind:name`.
        state: `up-to-date`; `stale`: the next build makes it anew or restores it; `maybe`: so if what it reads comes
            out different; `missing`: it has no artifact.
        how: how its artifact came: `built`, `restored` from the store, `accepted` for new code; empty without one.
        touched: whether the last build that did anything brought it up to date; False: it was so already.
        started: when that was, ISO 8601; empty without an artifact.
        duration_s: how long the work took when it was built, in seconds; None without an artifact.
        digest: digest of the artifact; empty without one.
        reads: the stages that it reads.
        reasons: why it is stale.
        failure: why it failed in the last build; empty if it did not.
    """

    stage: str
    state: State
    how: How
    touched: bool
    started: str
    duration_s: float | None
    digest: str
    reads: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    failure: str = ""


class ClassFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One class: its name, and how many samples each split has of it."""

    name: str
    train: int
    test: int


class InputSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One input: its name, and the shape and dtype of a sample."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The data set: what one sample is, samples in all, and the classes in the order of their labels, if any.

    `input_shape` and `dtype` are those of the first input; `inputs` has them all, and none in a report of an older version.
    """

    stage: str
    input_shape: tuple[int | str, ...]
    dtype: str
    train: int
    test: int
    classes: tuple[ClassFacts, ...]
    inputs: tuple[InputSummary, ...] = ()


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


class CurveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a training or fine-tuning went: one list a figure (`loss`, `val_accuracy` ...), one number an epoch."""

    stage: str
    epochs: tuple[float, ...]
    figures: dict[str, tuple[float | None, ...]]


class LayerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the image as shipped: what it holds, its digest, its size in bytes."""

    name: str
    digest: str
    size_bytes: int


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The image: its name, the digest of its OCI manifest, its size in bytes as shipped, its layers, lowest first.

    `variant` is the variant that it serves; empty if its labels do not say. `state` is that of the stage that made it.
    """

    repository: str
    tag: str
    digest: str
    size_bytes: int
    platform: str
    builder: str
    variant: str
    layers: tuple[LayerSummary, ...]
    base: dict[str, str] = {}
    state: State = "up-to-date"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What one artifact was made of; the fields are those of `artifacts/build.json`."""

    stage: str
    key: str
    digest: str
    commit: str
    clean: bool | None
    components: dict[str, str]
    parameters: dict[str, Any]
    files: dict[str, str]
    code: dict[str, str]
    tools: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report says.

    Attributes:
        schema: `modelyard.report/1`.
        project: what was built.
        notes: what is missing or stale, and what failed, in words.
        stages: the stages, in the order of a build.
        dataset: the data set; None if it is not built.
        baseline: the variant that the others are compared with; with several trainings that of the first one.
        rule: how the variant that ships is picked.
        shipped: the variant that ships: what `select` picked, if that stage is up to date; else None.
        not_shipped: why none ships, in words; empty if one does.
        gates: the bounds that are set, in one unit each, and how what is undecided counts.
        latency_notes: what to know before the latencies are trusted: the machine, its load.
        variants: those that were measured, in the order of the configuration.
        unmeasured: those that were not.
        over_seeds: variants that differ in the seed of their training alone, as one: means and deviations.
        curves: the trainings and fine-tunings.
        image: the image; None if it is not built.
        origins: what the artifacts were made of.
        builder: versions of modelyard, doit and Python.
    """

    schema: str = SCHEMA
    project: ProjectFacts
    notes: tuple[str, ...] = ()
    stages: tuple[StageFacts, ...]
    dataset: DatasetSummary | None
    baseline: str
    rule: str
    shipped: str | None
    not_shipped: str = ""
    gates: dict[str, float | str]
    latency_notes: tuple[str, ...] = ()
    variants: tuple[VariantFacts, ...]
    unmeasured: tuple[str, ...] = ()
    over_seeds: tuple[OverSeeds, ...] = ()
    curves: tuple[CurveFacts, ...] = ()
    image: ImageSummary | None
    origins: tuple[Origin, ...] = ()
    builder: dict[str, str] = {}

    def variant(self, name: str | None) -> VariantFacts | None:
        """Return the measured variant called `name`, or None."""
        return next((one for one in self.variants if one.name == name), None)

    def state(self, stage: str) -> State:
        """Return the state of a stage."""
        return next((one.state for one in self.stages if one.stage == stage), "missing")


class _Schema(msgspec.Struct):
    schema: str = ""


def read_report(path: Path) -> Report:
    """Read `report.json`, or the one in the folder `path`.

    Raises:
        DataError: it is missing, is no report, or one of another schema.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        content = file.read_bytes()
        found = decode(content, _Schema).schema
        if found != SCHEMA:
            what = f"has the schema {found!r}" if found else "says no schema"
            msg = f"{file}: {what}, not {SCHEMA!r}\n  write it again with `doit report` of this version"
            raise DataError(msg)
        return decode(content, Report)
    except OSError as exc:
        msg = f"{file}: cannot be read: {exc.strerror}\n  `doit report` writes artifacts/report/NAME/report.json"
        raise DataError(msg) from exc
    except ValueError as exc:  # msgspec's errors, and text that is not UTF-8
        msg = f"{file}: is no report: {exc}\n  `doit report` writes artifacts/report/NAME/report.json"
        raise DataError(msg) from exc
