"""Stage `dataset`: check what a data set plugin returned, and write it down as memory-mapped splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modelyard.artifacts import DatasetFacts, SplitFacts, Splits
from modelyard.errors import DataError, PluginError
from modelyard.files.json import write_json
from modelyard.stages.splits.checks import check_splits, stored_dtype
from modelyard.stages.splits.files import write_labels, write_samples
from modelyard.stages.statistics import statistics
from modelyard.stages.tasks import open_task
from modelyard.tensors import InputFacts, Loss, Preprocessing, is_whole

if TYPE_CHECKING:
    from pathlib import Path

    from modelyard.contexts import Progress
    from modelyard.execution.job import Job
    from modelyard.stages.statistics import Statistics
    from modelyard.task import Task

Normalize = Literal["auto", "unit", "standard", "none"]

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
    task = open_task(job)
    named = job.stage.uses["task"].component
    figures = write_dataset(
        splits, job.base.out, task, named.label, named.loss, normalize=normalize, progress=job.base.progress
    )
    job.base.metrics.update(figures)
    if "dtype" in figures:
        job.base.warn(f"samples are {figures['dtype']}: they reach the model as they are; pictures are uint8")


def write_dataset(
    splits: Splits,
    out: Path,
    task: Task,
    name: str,
    loss: Loss = "cross-entropy",
    *,
    normalize: Normalize = "auto",
    progress: Progress,
) -> dict[str, Any]:
    """Check `splits` and write `{train,test}_{x,y}.npy` and `dataset.json` to the folder `out`.

    Samples are uint8, float32, int32 or int64 on disk: floats are converted where nothing is lost but digits, truth
    values become bytes, and other whole numbers the smaller of the two that holds their type. One block of samples is in memory at a time. The same splits always give the same bytes.

    Args:
        splits: what a data set plugin returned.
        out: a folder that exists.
        task: what is learnt, which says what labels must be.
        name: what the task is called.
        loss: what training for it minimises.
        normalize: what the model sees: `unit` maps the value range to 0..1, `standard` gives each channel of the
            training split mean 0 and deviation 1, `none` leaves samples as they are. `auto` is `unit` for bytes and
            floats, and `none` for other whole numbers, which are ids of something: dividing would destroy them.
        progress: told how many samples are written.

    Returns:
        Figures for `stage.json`.

    Raises:
        DataError: shapes, types, values, labels, class names or `normalize` do not fit; the message says which and where.
    """
    check_splits(splits)
    answer = task.check(splits)
    dtype = stored_dtype(splits)
    normalize = _chosen(normalize, str(dtype))
    total = len(splits.train_x) + len(splits.test_x)
    found = statistics(dtype, splits.train_x.shape[-1]) if normalize == "standard" else None
    facts = {}
    for split, x, y in (("train", splits.train_x, splits.train_y), ("test", splits.test_x, splits.test_y)):
        done = len(splits.train_x) if split == "test" else 0
        blocks = write_samples(out / f"{split}_x.npy", x, dtype, splits.value_range)
        for block in blocks:
            if split == "train" and found is not None:
                found.add(block)
            done += len(block)
            progress(done, total, unit="samples", note=split)
        counts: tuple[int, ...] = ()
        if y is not None:
            labels = task.stored(y)
            write_labels(out / f"{split}_y.npy", labels)
            counts = task.counts(labels, answer)
        facts[split] = SplitFacts(len(x), counts)
    low, high = (float(bound) for bound in splits.value_range)
    raw = InputFacts(
        name="input",
        dtype=str(dtype),
        shape=splits.train_x.shape[1:],
        preprocessing=preprocessing(normalize, splits.value_range, found),
        value_range=(low, high),
    )
    write_json(out / "dataset.json", DatasetFacts(task=name, inputs=(raw,), outputs=(answer,), splits=facts, loss=loss))
    samples = {split: len(getattr(splits, f"{split}_x")) for split in ("train", "test")}
    kind = {"dtype": str(dtype)} if is_whole(str(dtype)) else {}
    classes = {"classes": len(answer.labels)} if answer.activation == "softmax" else {}
    return {**samples, **classes, "shape": list(splits.train_x.shape[1:]), **kind}


def _chosen(normalize: Normalize, dtype: str) -> Normalize:
    """Return what `auto` stands for.

    Raises:
        DataError: whole numbers shall be normalized.
    """
    if not is_whole(dtype):
        return "unit" if normalize == "auto" else normalize
    if normalize in ("auto", "none"):
        return "none"
    msg = (
        f"[tool.modelyard.dataset]: normalize = {normalize!r}: the samples are {dtype}, whole numbers such as token ids, "
        "which reach the model as they are\n"
        "  leave normalize out; or give float32 samples if they are measurements, uint8 if they are pictures"
    )
    raise DataError(msg)


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
