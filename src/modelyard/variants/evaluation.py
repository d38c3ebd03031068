"""What an evaluation says, in two files: what is the same every time, and the latency, which is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.files.json import read_json, write_json
from modelyard.files.npy import open_array
from modelyard.metrics import Metric, metric_of
from modelyard.metrics.standard import (
    GZIP_SIZE,
    LATENCY_P50,
    LATENCY_P99,
    LATENCY_RATIO,
    LAYER_SIZE,
    SIZE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

EVALUATION = "evaluation.json"
ANSWERS = "answers.npy"
"""What the model answers to the test split, in the folder of an evaluation."""
PER_SAMPLE = "per_sample"
"""The folder of an evaluation with a metric's value for each test sample, `NAME.npy`."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation.json`: how well a model does on the test split, and how large it is.

    Attributes:
        samples: number of test samples.
        size_bytes: size of the model's file as it is.
        gzip_bytes: its size after gzip at level 9, file by file; that of a large model is an estimate.
        layer_bytes: size of the model's layer in an image, as it is at the fixed epoch, compressed unless the model is
            large: what a registry keeps and a node pulls.
        warnings: what the model optimizers of its chain warned of.
        metrics: all that is the same every time, as rows: what the task measures, the sizes, the metrics of plugins.
        details: what the task says beside; in the file its keys stand among the others.
    """

    samples: int
    size_bytes: int
    gzip_bytes: int
    layer_bytes: int
    warnings: tuple[str, ...] = ()
    metrics: tuple[Metric, ...]
    details: dict[str, Any] = {}

    @classmethod
    def of(cls, *, scores: tuple[Metric, ...], details: Mapping[str, Any], **known: Any) -> Evaluation:
        """Return an evaluation with the task's scores and the sizes as rows."""
        sizes = (
            quantity.of(known[f"{quantity.name.replace('_size', '')}_bytes"])
            for quantity in (SIZE, GZIP_SIZE, LAYER_SIZE)
        )
        return cls(metrics=(*scores, *sizes), details=dict(details), **known)

    def metric(self, name: str) -> Metric:
        """Return the metric called `name`, for instance `accuracy`."""
        return metric_of(self.metrics, name)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write `evaluation.json`."""
    known = msgspec.structs.asdict(evaluation)
    write_json(folder / EVALUATION, {**known.pop("details"), **known})


def read_evaluation(folder: Path) -> Evaluation:
    """Read `evaluation.json`.

    Raises:
        DataError: it is missing or damaged.
    """
    known = read_json(folder / EVALUATION, Evaluation)
    rest = read_json(folder / EVALUATION, dict)
    details = {key: value for key, value in rest.items() if key not in Evaluation.__struct_fields__}
    return msgspec.structs.replace(known, details=details)


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How a variant's latency compares with that of the baseline, which was measured in turns with it.

    Attributes:
        p50: the median over all rounds of "the variant's median in this round / the baseline's"; below 1 is faster.
        low: lower end of its interval; None: too few rounds to say.
        high: upper end of its interval; None: too few rounds to say.
        rounds: how often the two took turns.
        baseline_p50_ms: the baseline's median over all its calls, in milliseconds.
    """

    p50: float
    low: float | None
    high: float | None
    rounds: int
    baseline_p50_ms: float


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that measured, and how busy it was.

    Attributes:
        cpu_model: the processor's name.
        cpus: the CPUs that the calls were pinned to, by number; none where the system forbids pinning.
        threads: threads of one prediction, as the runtime is configured, or else as any stage may use; None: not known.
        governor: how the first of `cpus` chooses its frequency, for instance `performance`; None in most virtual machines.
        load_1m: the load average of the minute before; above the number of CPUs, calls waited for each other.
        preemptions: how often another process was given the CPU while calls were timed.
    """

    cpu_model: str
    cpus: tuple[int, ...]
    threads: int | None
    governor: str | None
    load_1m: float
    preemptions: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """`latency.json`: how long one sample takes on the machine that measured, in milliseconds.

    Each interval is that between two order statistics of the calls (see `intervals.quantile_interval`).

    Attributes:
        p50_ms: half of the calls took no longer.
        p50_low_ms: lower end of its interval; None: too few calls to say.
        p50_high_ms: upper end of its interval; None: too few calls to say.
        p99_ms: 99 of 100 calls took no longer.
        p99_low_ms: lower end of its interval; None: too few calls to say.
        p99_high_ms: upper end of its interval; None: too few calls to say, which is so below 368.
        mean_ms: the mean.
        samples: calls that were measured.
        warmup: calls before that.
        confidence: how often such an interval holds the true value, if the calls are independent of each other.
        ratio: how it compares with the baseline; None for the baseline itself, and for a variant with the same model.
        host: what was measured on; None where it is not known.
        batch_ms: how long a sample takes where so many are given at once: samples -> the median of some calls; what the
            test split or the model does not allow is not there.
        metrics: all that is measured anew each time, as rows; the figures above are among them, but for `batch_ms`.
    """

    p50_ms: float
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p99_ms: float
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    mean_ms: float
    samples: int
    warmup: int
    confidence: float = 0.95
    ratio: Ratio | None = None
    host: Host | None = None
    batch_ms: dict[str, float] = {}
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        """Say the figures as rows, too, where they are not there."""
        if not self.metrics:
            msgspec.structs.force_setattr(self, "metrics", tuple(self._rows()))

    def _rows(self) -> Iterator[Metric]:
        yield LATENCY_P50.of(self.p50_ms, (self.p50_low_ms, self.p50_high_ms))
        yield LATENCY_P99.of(self.p99_ms, (self.p99_low_ms, self.p99_high_ms))
        ratio = self.ratio  # the baseline takes as long as itself
        yield LATENCY_RATIO.of(ratio.p50, (ratio.low, ratio.high)) if ratio else LATENCY_RATIO.of(1.0, (1.0, 1.0))


@dataclass(frozen=True)
class Measured:
    """What the `evaluate` stage found out about one variant.

    Attributes:
        evaluation: what is the same every time.
        latency: what is not.
        folder: where the values of single samples are; None: they are not known.
    """

    evaluation: Evaluation
    latency: Latency
    folder: Path | None = None

    @property
    def metrics(self) -> dict[str, Metric]:
        """All metrics by name, in the order of the tables."""
        return {one.name: one for one in (*self.evaluation.metrics, *self.latency.metrics)}

    @property
    def answers(self) -> Any:
        """What the model answers to the test samples, shape `(samples, ...)`, memory-mapped."""
        assert self.folder is not None
        return open_array(self.folder / ANSWERS, "run `doit evaluate` again")

    def per_sample(self, metric: str) -> Any:
        """Return a metric's value for each test sample, shape `(samples,)`, memory-mapped; None if it has none."""
        file = self.folder / PER_SAMPLE / f"{metric}.npy" if self.folder else None
        return open_array(file, "run `doit evaluate` again") if file and file.is_file() else None


def save_per_sample(out: Path, metric: str, values: NDArray[np.generic]) -> None:
    """Write a metric's value for each test sample, shape `(samples,)`: what two variants are compared by, in pairs."""
    import numpy as np

    (out / PER_SAMPLE).mkdir(exist_ok=True)
    np.save(out / PER_SAMPLE / f"{metric}.npy", values, allow_pickle=False)


def read_measured(folder: Path) -> Measured:
    """Read what the `evaluate` stage left in `folder`.

    Raises:
        DataError: a file is missing or damaged.
    """
    return Measured(read_evaluation(folder), read_json(folder / "latency.json", Latency), folder)
