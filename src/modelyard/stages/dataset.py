"""Stage `dataset`: check what a data set plugin returned, and write it down as memory-mapped splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.artifacts import DatasetFacts, Splits, Streams
from modelyard.errors import DataError, PluginError
from modelyard.files.json import write_json
from modelyard.stage_settings import DatasetSettings
from modelyard.stages.decoding import decoding
from modelyard.stages.handlers import described, open_chain
from modelyard.stages.several import with_joined_labels
from modelyard.stages.splits.axes import following
from modelyard.stages.splits.checks import check_splits, sample_dtype, stored_dtype
from modelyard.stages.splits.files import write_column, write_labels
from modelyard.stages.splits.folds import held_out
from modelyard.stages.splits.given_labels import with_label_arrays
from modelyard.stages.splits.sent import Preparing
from modelyard.stages.splits.sent_files import write_sent
from modelyard.stages.splits.slices import check_set_slices, check_slices, write_slices
from modelyard.stages.splits.streams import splits_of
from modelyard.stages.splits.test_sets import open_test_sets, write_test_set
from modelyard.stages.splits.texts import Encoding
from modelyard.stages.statistics import Extent, statistics
from modelyard.stages.tasks import losses_of, open_task, task_component
from modelyard.tensors import InputFacts, Loss, OutputFacts, Preprocessing, is_kept, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from modelyard.contexts import Progress
    from modelyard.execution.job import Job
    from modelyard.serving.handlers import Chain
    from modelyard.stage_settings import Normalize
    from modelyard.stages.splits.column import Column
    from modelyard.stages.splits.test_sets import Further
    from modelyard.stages.statistics import Statistics
    from modelyard.task import Task

_CONSTANT = 1e-7
"""A channel that deviates by less than this part of the value range is constant, but for rounding."""


def run(job: Job) -> None:
    """Get the data set and write its splits and `dataset.json`.

    Raises:
        PluginError: the plugin returned neither `Splits` nor `Streams`.
        DataError: the splits cannot be trained on.
    """
    splits = _splits(job)
    task = open_task(job)
    named = task_component(job)
    losses = losses_of(job)
    settings = job.stage.settings_as(DatasetSettings)
    if fold := settings.fold:
        learnt = losses or {"": named.loss}
        splits = held_out(splits, learnt, job.base.seed, job.base.cache, folds=fold.folds, fold=fold.fold)
    with decoding(open_chain(job.stage.uses), job) as chain:
        figures = write_dataset(
            splits,
            job.base.out,
            task,
            named.label,
            named.loss,
            losses=losses,
            normalize=settings.normalize,
            outputs=settings.outputs,
            answer=settings.answer,
            chain=chain,
            progress=job.base.progress,
        )
    job.base.metrics.update(figures)
    if is_whole(figures.get("dtype", "")):
        job.base.warn(f"samples are {figures['dtype']}: they reach the model as they are; pictures are uint8")


def _splits(job: Job) -> Splits:
    """Call the data set's function, and return what it gives; samples that come one by one are written down first."""
    found = job.call("dataset", job.base)
    if isinstance(found, Streams):
        return splits_of(found, job.base.cache, job.base.progress)
    if isinstance(found, Splits):
        return found
    component = job.stage.uses["dataset"].component
    msg = f"the data set {component.name!r} ({component.file}) returned a {type(found).__name__}, not Splits or Streams"
    raise PluginError(msg)


def write_dataset(
    splits: Splits,
    out: Path,
    task: Task,
    name: str,
    loss: Loss = "cross-entropy",
    *,
    losses: Mapping[str, Loss] | None = None,
    normalize: Normalize = "auto",
    outputs: Sequence[str] = (),
    answer: str = "",
    chain: Chain | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Check `splits` and write their arrays and `dataset.json` to the folder `out`: `train_x.npy` or `train_x.NAME.npy`, `train_y.npy` ...

    Samples are uint8, float32, int32 or int64 on disk: floats are converted where nothing is lost but digits, truth
    values become bytes, and other whole numbers the smaller of the two that holds their type. Texts and other bytes are as they
    are: `train_x.values.npy` has all of them in a row, `train_x.offsets.npy` where each begins. One block of samples is in memory at a time. The same splits always give the same bytes.

    Args:
        splits: what a data set plugin returned.
        out: a folder that exists.
        task: what is learnt, which says what labels must be.
        name: what the task is called.
        loss: what training for it minimises.
        losses: the same for each of several outputs, by their names.
        normalize: what the model sees: `unit` maps the value range to 0..1, or where none is given that of the training
            split; `standard` gives each channel of the training split mean 0 and deviation 1, `none` leaves samples as
            they are. `auto` is `unit` for bytes and floats, and `none` for other whole numbers, which are ids of
            something: dividing would destroy them.
        outputs: the tensors that handlers after the model take of it, beside the task's answer.
        answer: the tensor that the task measures, where a handler gives it.
        chain: the handlers before the model: the data set then holds what clients send. What they make of it is written
            for those that train, and the test split as it is sent, too.
        progress: told how many samples are written.

    Returns:
        Figures for `stage.json`.

    Raises:
        DataError: shapes, types, values, labels, class names or `normalize` do not fit; the message says which and where.
    """
    splits = with_label_arrays(splits)
    given, sent = splits, None
    preparing: Preparing | None = None
    if chain is not None and chain.before:
        preparing = Preparing(chain, out, progress)
        splits, sent = preparing(splits)
    splits = with_joined_labels(splits, task)
    columns = check_splits(splits)
    slices = check_slices(splits.slices, len(columns[0].test))
    wanted = _some(task.check(splits), name)
    if task.follows:
        wanted = following(wanted, columns)
    further = open_test_sets(given, preparing, task, wanted)
    set_slices = check_set_slices(
        splits.test_set_slices, {name: len(one.columns[0].test) for name, one in further.items()}
    )
    arrays = (*(one.train for one in columns), *(one.test for part in (columns, *_columns(further)) for one in part))
    steps = _Steps(progress, sum(map(len, arrays)))
    inputs = [_write_column(column, out, normalize, steps) for column in columns]
    facts = {
        split: write_labels(out, split, len(getattr(columns[0], split)), getattr(splits, f"{split}_y"), task, wanted)
        for split in ("train", "test")
    }
    tested = {
        name: write_test_set(name, one, out, task, wanted, inputs, chain, steps.add) for name, one in further.items()
    }
    answers, measured = described(wanted, outputs, answer, task.given)
    known = DatasetFacts(
        task=name,
        inputs=tuple(inputs),
        outputs=answers,
        splits=facts,
        loss=loss,
        losses=dict(losses or {}),
        sent=write_sent(sent, out, inputs, chain) if sent is not None and chain is not None else (),
        measured=measured,
        slices=write_slices(out, slices),
        test_sets=tested,
        test_set_slices={name: write_slices(out, one, name) for name, one in set_slices.items()},
    )
    write_json(out / "dataset.json", known)
    samples = {split: one.samples for split, one in (facts | tested).items()}
    classes = {"classes": len(wanted.labels)} if wanted.activation == "softmax" else {}
    return {**samples, **classes, **_told(inputs)}


def _columns(further: Mapping[str, Further]) -> Iterator[Sequence[Column]]:
    return (one.columns for one in further.values())


def _some(wanted: OutputFacts, task: str) -> OutputFacts:
    """Return what a model must answer, if that is any number at all: frameworks end their process over an axis of none.

    Raises:
        PluginError: the task wants none.
    """
    if not any(0 in one.shape for one in (wanted, *wanted.parts)):
        return wanted
    msg = (
        f"the task {task!r} wants answers of the shape {wanted.shape}, which hold no number\n"
        "  its `check` returns OutputFacts by the data set's labels: class_names may be empty"
    )
    raise PluginError(msg)


def _told(inputs: Sequence[InputFacts]) -> dict[str, Any]:
    """Return what the table says of the samples."""
    if len(inputs) > 1:
        return {"inputs": [one.name for one in inputs]}
    (one,) = inputs
    kind = {"dtype": one.dtype} if is_kept(one.dtype) else {}
    return {"shape": list(one.shape), **kind}


class _Steps:
    """Tells how many samples are written, of all columns together."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, samples: int, split: str) -> None:
        """`samples` more are written."""
        self._done += samples
        self._progress(self._done, self._total, unit="samples", note=split)


def _write_column(column: Column, out: Path, normalize: Normalize, steps: _Steps) -> InputFacts:
    """Write both splits of a column, and return what is known of it."""
    dtype = stored_dtype(column)
    normalize = _chosen(normalize, sample_dtype(dtype), column)
    own = column.train.shape[2 if column.axis else 1 :]
    channels = own[-1] if own else 1  # a number, of a sample or at a place of one, has no axis of its own
    found = statistics(dtype, channels) if normalize == "standard" else None
    extent = Extent() if column.value_range is None and normalize != "none" else None
    encoding = Encoding() if dtype.kind == "O" else None
    counted = [one for one in (found, extent) if one is not None]
    for split in ("train", "test"):
        for samples, block in write_column(out, split, column, dtype):
            for one in counted if split == "train" else ():
                one.add(block)
            if encoding is not None:
                encoding.add(block)
            steps.add(samples, split)
    ends = column.value_range
    return InputFacts(
        name=column.name,
        dtype=sample_dtype(dtype),
        shape=column.shape,
        preprocessing=preprocessing(normalize, ends or (extent.ends if extent else (0.0, 1.0)), found),
        value_range=None if ends is None else (float(ends[0]), float(ends[1])),
        pad=float(column.train.pad) if column.axis else None,  # type: ignore[attr-defined]
        mask=column.mask,
        binary=encoding is not None and encoding.is_binary,
    )


def _chosen(normalize: Normalize, dtype: str, column: Column) -> Normalize:
    """Return what `auto` stands for: of several columns those are mapped to 0..1 whose range is given.

    Raises:
        DataError: whole numbers or texts shall be normalized.
    """
    if is_kept(dtype) and (normalize in ("auto", "none") or column.is_named):
        return "none"
    if not is_kept(dtype):
        return ("unit" if column.is_scaled else "none") if normalize == "auto" else normalize
    what, instead = (
        f"{dtype}, whole numbers such as token ids,",
        "; or give float32 samples if they are measurements, uint8 if they are pictures",
    )
    if not is_whole(dtype):
        what, instead = "texts,", ""
    msg = (
        f"[tool.modelyard.dataset]: normalize = {normalize!r}: the samples are {what} which reach the model as they are\n"
        f"  leave normalize out{instead}"
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
