"""Stage `dataset`: check what a data set plugin returned, and write it down as memory-mapped splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard.artifacts import DatasetFacts, Preprocessing, SplitFacts, Splits
from modelyard.errors import PluginError
from modelyard.jsonfiles import write_json
from modelyard.stages.split_checks import check_splits, stored_dtype
from modelyard.stages.split_files import write_labels, write_samples
from modelyard.stages.statistics import statistics

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import Progress
    from modelyard.job import Job
    from modelyard.stages.statistics import Statistics

Normalize = Literal["unit", "standard", "none"]

_CONSTANT = 1e-7
"""A channel that deviates by less than this part of the value range is constant, but for rounding."""


def run(job: Job) -> None:
    """Get the data set and write its splits and `dataset.json`.

    Raises:
        PluginError: the plugin did not return `Splits`.
        DataError: the splits cannot be trained on.
    """
    splits = job.call("dataset", job.base)
    component = job.stage.uses["dataset"].component
    if not isinstance(splits, Splits):
        msg = f"the data set {component.name!r} ({component.file}) returned a {type(splits).__name__}, not Splits"
        raise PluginError(msg)
    normalize = job.stage.settings["normalize"]
    job.base.metrics.update(write_dataset(splits, job.base.out, normalize=normalize, progress=job.base.progress))


def write_dataset(splits: Splits, out: Path, *, normalize: Normalize = "unit", progress: Progress) -> dict[str, Any]:
    """Check `splits` and write `{train,test}_{x,y}.npy` and `dataset.json` to the folder `out`.

    Samples are uint8 or float32 on disk; other integers and floats are converted where nothing is lost but digits.
    One block of samples is in memory at a time. The same splits always give the same bytes.

    Args:
        splits: what a data set plugin returned.
        out: a folder that exists.
        normalize: what the model sees: `unit` maps the value range to 0..1, `standard` gives each channel of the
            training split mean 0 and deviation 1, `none` leaves samples as they are.
        progress: told how many samples are written.

    Returns:
        Figures for `stage.json`.

    Raises:
        DataError: shapes, types, values, labels or class names do not fit; the message says which and where.
    """
    check_splits(splits)
    dtype = stored_dtype(splits)
    total = len(splits.train_x) + len(splits.test_x)
    found = statistics(dtype, splits.train_x.shape[-1]) if normalize == "standard" else None
    facts = {}
    for name, x, y in (("train", splits.train_x, splits.train_y), ("test", splits.test_x, splits.test_y)):
        done = len(splits.train_x) if name == "test" else 0
        blocks = write_samples(out / f"{name}_x.npy", x, dtype, splits.value_range)
        for block in blocks:
            if name == "train" and found is not None:
                found.add(block)
            done += len(block)
            progress(done, total, unit="samples", note=name)
        write_labels(out / f"{name}_y.npy", y)
        facts[name] = SplitFacts(len(y), _per_class(y, len(splits.class_names)))
    write_json(
        out / "dataset.json",
        _facts(splits, str(dtype), preprocessing(normalize, splits.value_range, found), found, facts),
    )
    samples = {name: len(getattr(splits, f"{name}_x")) for name in ("train", "test")}
    return {**samples, "classes": len(splits.class_names), "shape": list(splits.train_x.shape[1:])}


def _facts(
    splits: Splits,
    dtype: str,
    preprocessing: Preprocessing,
    statistics: Statistics | None,
    facts: dict[str, SplitFacts],
) -> DatasetFacts:
    low, high = (float(bound) for bound in splits.value_range)
    return DatasetFacts(
        class_names=tuple(splits.class_names),
        input_shape=tuple(splits.train_x.shape[1:]),
        dtype=dtype,
        value_range=(low, high),
        mean=statistics.mean if statistics else None,
        std=statistics.std if statistics else None,
        preprocessing=preprocessing,
        splits=facts,
    )


def preprocessing(
    normalize: Normalize, value_range: tuple[float, float], statistics: Statistics | None
) -> Preprocessing:
    """Return what turns a raw sample into the model's input. A channel that never changes is not divided.

    Args:
        normalize: see `write_dataset`.
        value_range: the lowest and highest value of a raw sample.
        statistics: those of the training samples; only `standard` needs them.
    """
    low, high = (float(bound) for bound in value_range)
    if normalize == "unit":
        return Preprocessing(scale=1 / (high - low), mean=(low / (high - low),))
    if statistics is not None:
        least = (high - low) * _CONSTANT
        return Preprocessing(mean=statistics.mean, std=tuple(std if std > least else 1.0 for std in statistics.std))
    return Preprocessing()


def _per_class(labels: NDArray[np.generic], classes: int) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(count) for count in np.bincount(labels.astype(np.int64), minlength=classes))
