"""What all trainers have in common, whatever their framework. Imports none."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.errors import ConfigError, PluginError, StageFailed
from modelyard.files.json import write_json
from modelyard.tensors import is_whole
from modelyard_plugins.support.data.splitting import row_split, stratified_split
from modelyard_plugins.support.losses import NO_LOSS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import CheckContext, StageContext, TrainContext
    from modelyard.tensors import InputFacts

History = dict[str, list[float]]
"""One list a figure (`loss`, `accuracy`, `val_loss` ...), one number an epoch; `epoch` counts from 1."""

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "lion": "Lion", "rmsprop": "RMSprop", "sgd": "SGD"}
"""The class that a trainer's `optimizer` names; tf_keras, Keras 3 and torch.optim call theirs alike (torch has no Lion)."""

_REPORT_EVERY_S = 0.2


def last_figures(history: History, epoch: int = -1) -> dict[str, float]:
    """Return the figures of one epoch (by index), for `stage.json`; training figures are called `train_...`."""
    figures = {name: values[epoch] for name, values in history.items() if name != "epoch"}
    return {name if name.startswith("val_") else f"train_{name}": value for name, value in figures.items()}


def record(context: StageContext, history: History, parameters: int, best: int | None = None) -> None:
    """Write `history.json`, and put what a table shows of it into the metrics.

    Args:
        context: the trainer's context.
        history: the figures of every epoch.
        parameters: how many numbers the model holds.
        best: index of the epoch whose weights are kept; None for the last one, where that was not looked for.
    """
    write_json(context.out / "history.json", history)
    figures = last_figures(history, -1 if best is None else best)
    context.metrics.update(figures, epochs=len(history["epoch"]), parameters=parameters)
    if best is not None:
        context.metrics["best_epoch"] = best + 1


class Teller:
    """Tells the person at the terminal how training goes, and stops it when a figure is no longer a finite number."""

    def __init__(self, context: StageContext, epochs: int, steps: int) -> None:
        """Report to `context` on `epochs` epochs of `steps` steps each."""
        self._context, self._epochs, self._steps = context, epochs, steps
        self._epoch, self._note, self._told, self._began = 0, "", 0.0, 0.0

    def begin(self, epoch: int) -> None:
        """An epoch begins; the first is 0."""
        self._epoch, self._began = epoch, time.monotonic()

    def step(self, done: int) -> None:
        """`done` steps of the epoch are done; said a few times a second at most."""
        now = time.monotonic()
        if now - self._told >= _REPORT_EVERY_S:
            self._told = now
            self._context.progress(self._epoch + done / self._steps, self._epochs, unit="epochs", note=self._note)

    def end(self, figures: Mapping[str, float]) -> None:
        """The epoch is over, with these figures.

        Raises:
            StageFailed: one of them is not finite.
        """
        number = self._epoch + 1
        self._note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        self._context.log(f"epoch {number}/{self._epochs}  {self._note}  {time.monotonic() - self._began:.1f} s")
        self._context.progress(number, self._epochs, unit="epochs", note=self._note)
        if not all(map(math.isfinite, figures.values())):
            msg = f"epoch {number}: a figure is not finite: {self._note}\n  try a smaller learning_rate"
            raise StageFailed(msg)


def problems(
    context: CheckContext,
    *,
    early_stopping: int,
    validation_fraction: float,
    class_weights: str,
    loss: str,
    step: str = "",
    precision: str = "float32",
    **_: Any,
) -> Iterator[Problem]:
    """Yield that training shall stop early, but no sample is set apart to watch; what a function of the project's own does itself."""
    if early_stopping and not validation_fraction:
        yield Problem("early_stopping", "there are no samples to watch", "set validation_fraction, for instance to 0.1")
    if class_weights != "none" and "cross-entropy" not in (context.loss, *context.losses.values()):
        yield Problem("class_weights", _NO_CLASSES, "leave class_weights out")
    elif class_weights != "none" and loss:
        yield Problem("class_weights", "a loss of your own weighs samples itself", "leave class_weights out")
    elif class_weights != "none" and step:
        yield Problem("class_weights", "a step of your own weighs samples itself", "leave class_weights out")
    has_loss = any((context.loss, *context.losses.values()))
    if not (loss or step) and (lacking := _without_loss(context)):
        yield Problem("loss", f"{lacking} has none to train with", NO_LOSS)
    if step and not (has_loss or loss) and validation_fraction:
        instead = "leave validation_fraction out, or name a loss, too"
        yield Problem("validation_fraction", "there is no loss to measure on what is set apart", instead)
    if step and precision != "float32":
        yield Problem("precision", "a step of your own computes in what it says itself", "leave precision out")


def _without_loss(context: CheckContext) -> str:
    """Return what is learnt and has no loss, in words; empty: all has one."""
    if not context.outputs:
        return "" if context.loss else "the task"
    return next((f"the output {name!r}" for name, loss in context.losses.items() if not loss), "")


_NO_CLASSES = "a sample of this task is not of one class, so there are none to weigh"


def training_rows(context: TrainContext, fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the training split to train on, and those to set apart, class by class if it has classes.

    Where several outputs are learnt, the classes are those of the first one that has some.

    Args:
        context: the data set, and the seed that decides which rows.
        fraction: the part to set apart.

    Raises:
        DataError: there is no sample of a class, or there are too few.
    """
    import numpy as np

    seed, samples = context.seed, context.dataset.facts.splits["train"].samples
    _check_classes(context)
    labels = next(iter(class_labels(context).values()), None)
    if not fraction:
        return np.arange(samples), np.arange(0)
    return row_split(samples, fraction, seed) if labels is None else stratified_split(labels, fraction, seed)


def _check_classes(context: TrainContext) -> None:
    """Check that there is a sample of each class of each output that is learnt.

    Raises:
        DataError: there is not.
    """
    from modelyard_plugins.support.data.labels import check_each_class
    from modelyard_plugins.support.heads import learnt

    facts, train = context.dataset.facts, context.dataset.facts.splits["train"]
    if facts.loss == "cross-entropy":
        check_each_class(train.per_class, facts.answer.labels)
    names = {one.name: one.labels for one in facts.outputs}
    for name, loss in learnt(context).items():
        if loss == "cross-entropy":
            check_each_class(train.per_output.get(name, ()), names[name])


def class_labels(context: TrainContext) -> dict[str, NDArray[Any]]:
    """Return the labels that are one class a sample, shape `(samples,)`, of each output that learns some, by its name."""
    from modelyard_plugins.support.heads import learnt

    dataset = context.dataset
    losses = learnt(context) or {dataset.facts.answer.name: dataset.facts.loss}
    named = [name for name, loss in losses.items() if loss == "cross-entropy"]
    y: Any = dataset.y("train") if named else None
    found = {name: y[name] if dataset.facts.losses else y for name in named}
    return {name: labels for name, labels in found.items() if labels.ndim == 1}


def sample_weights(
    context: TrainContext, rows: NDArray[np.int64], class_weights: str
) -> dict[str, NDArray[np.float32]]:
    """Return what a sample of each class counts in the loss, float32, shape `(classes,)`, by output; none: each as much.

    A class's weight is inversely proportional to how many of `rows` are of it, and the mean over all rows is 1.

    Raises:
        ConfigError: the data set has no classes.

    Source: King and Zeng, "Logistic Regression in Rare Events Data" (2001), as scikit-learn's `class_weight="balanced"`.
    """
    if class_weights == "none":
        return {}
    if not (labels := class_labels(context)):
        msg = f"[tool.modelyard.train]: class_weights: {class_weights!r} is not allowed: {_NO_CLASSES}\n  leave class_weights out"
        raise ConfigError(msg)
    widths = context.dataset.facts.widths
    return {name: _balanced(one[rows], widths[name]) for name, one in labels.items()}


def _balanced(labels: NDArray[Any], classes: int) -> NDArray[np.float32]:
    import numpy as np

    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (len(counts) * np.maximum(counts, 1))).astype(np.float32)


NO_TEXTS = "name a handler that makes numbers of texts in [tool.modelyard.handlers] before, for instance tokenize or image-decode"
"""What to do where a data set holds texts, and what shall learn from it takes none."""


def check_input_dtype(model: str, takes: str, one: InputFacts) -> None:
    """Check that the model called `model`, whose input is of the type `takes`, can be given this input of samples.

    Raises:
        PluginError: it takes whole numbers and the samples are others, or it takes floats which cannot hold them all; or one
            is texts and the other is not.
    """
    if (takes == "string") != (one.dtype == "bytes"):
        instead = (
            NO_TEXTS if one.dtype == "bytes" else "let the data set give texts or bytes, or the model take numbers"
        )
        given = "texts" if one.dtype == "bytes" else one.dtype
        msg = f"the model {model!r} takes {takes}, but the data set's {one.name!r} is {given}\n  {instead}"
        raise PluginError(msg)
    if one.dtype == "bytes":
        return
    if takes.startswith("float"):
        most = max(map(abs, one.value_range or (float("inf"),)))
        if not is_whole(one.dtype) or most <= _FLOAT32_EXACT:
            return
        upto = f", up to {most:g}" if math.isfinite(most) else ", which may be of any size"
        msg = (
            f"the model {model!r} takes {takes}, which cannot hold each of the data set's whole numbers{upto}\n"
            f"  let its input be {one.dtype}"
        )
        raise PluginError(msg)
    if not is_whole(one.dtype):
        msg = (
            f"the model {model!r} takes {takes}, but the data set's samples are {one.dtype}, which reach it as float32\n"
            "  give whole numbers as int32 or int64 to the data set, or let the model take float32"
        )
        raise PluginError(msg)


_FLOAT32_EXACT = 2**24
"""Every whole number up to this is a float32."""

Shape = tuple[int | None, ...]
"""The shape of a batch; None stands for its size."""


def check_shape(model: str, verb: str, found: Shape, wanted: Shape) -> None:
    """Check that the model called `model` takes, or answers (the `verb`), the shape `wanted`.

    Raises:
        PluginError: it does not.
    """
    if found != wanted:
        msg = (
            f"the model {model!r} {verb} the shape {found}, but the data set has {wanted} (None: the batch)\n"
            "  use the function's arguments input_shape and classes"
        )
        raise PluginError(msg)


def check_answer(model: str, found: Shape, wanted: Shape) -> None:
    """Check that the model called `model` answers `found`, a batch, to samples whose answers are `wanted`: a length that varies may be any.

    Raises:
        PluginError: it does not.
    """
    whole = (None, *wanted)
    if len(found) == len(whole):
        found = tuple(None if axis is None else own for own, axis in zip(found, whole, strict=True))
    check_shape(model, "answers", found, whole)
