"""What a model answers to many samples: several predictors share them, and the answers go to a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

from modelyard.asking import ask, batches, count, longest
from modelyard.errors import PluginError
from modelyard.files.fields import joined
from modelyard.files.sizes import total_size
from modelyard.stages.sizes import copies_in_memory
from modelyard.system import usable_cpus
from modelyard.tensors import ANY_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard.artifacts import Model
    from modelyard.asking import Lengths, Samples
    from modelyard.contexts import Predictor, Progress
    from modelyard.signature import Axis
    from modelyard.task import Task
    from modelyard.tensors import OutputFacts

    Rows = slice | NDArray[Any]


_ROWS = 4096
"""Rows that are copied at a time."""


def as_many_as_fit(threads: int | None, model: Model) -> int:
    """Return how many predictors with so many threads keep every processor busy, or as many of them as fit into memory."""
    return max(1, min(len(usable_cpus()) // (threads or 1), copies_in_memory(total_size(model.path))))


def predict(
    open_model: Callable[[], Predictor],
    samples: Samples,
    file: Path,
    output: OutputFacts,
    task: Task,
    batch_size: int,
    workers: int,
    progress: Progress,
    lengths: Lengths,
) -> None:
    """Write what a model answers to `samples` to `file`, shape `(N, *output.shape)`.

    Several predictors share the batches. A batch holds the same samples however many they are, so the answers do not
    depend on it. One batch of answers for each of them is in memory. Where samples, and answers with them, are of several
    lengths, the file has the longest; what is behind a shorter answer is 0.

    Raises:
        PluginError: an answer has another shape, or is none that the task knows.
    """
    total = count(samples)
    parts = batches(total, batch_size, lengths)
    idle: SimpleQueue[Predictor] = SimpleQueue()
    answers = _File(file, total, output, longest(lengths))

    def answer(rows: Rows) -> int:
        predictor = idle.get()
        try:
            batch = {name: array[rows] for name, array in samples.items()}
            found = ask(predictor, batch, output.name)
        finally:
            idle.put(predictor)
        answers.check(found, count(batch))
        _check_answers(task, found, rows)
        answers.put(rows, found)
        return count(batch)

    together = max(1, min(workers, len(parts)))
    for _ in range(together):
        idle.put(open_model())
    with ThreadPoolExecutor(together) as pool:
        for done in accumulate(pool.map(answer, parts)):
            progress(done, total, unit="samples")
    answers.close()


def _check_answers(task: Task, found: NDArray[Any], rows: Rows) -> None:
    """Check that answers can be some; of samples that do not follow each other, a message has to know which is which.

    Raises:
        PluginError: they cannot.
    """
    if isinstance(rows, slice):
        task.check_answers(found, rows.start)
        return
    try:
        task.check_answers(found, 0)
    except PluginError:
        for place, row in enumerate(rows.tolist()):
            task.check_answers(found[place : place + 1], row)
        raise


class _File:
    """A file of answers, made when the first are there: only they say how long an axis is that may vary."""

    def __init__(self, path: Path, samples: int, output: OutputFacts, lengths: Mapping[Axis, int]) -> None:
        self._path, self._samples, self._output, self._lengths = path, samples, output, lengths
        self._array: Any = None  # a memory map
        self._lock = Lock()

    def check(self, found: Any, samples: int) -> None:
        """Check the shape of a batch's answers.

        Raises:
            PluginError: it is another.
        """
        for one in self._output.parts:
            written = None if self._array is None else self._array[one.name]
            _check_shape(found[one.name], samples, one, written)
        if not self._output.parts:
            varies = any(axis in self._lengths for axis in self._output.shape)
            _check_shape(found, samples, self._output, None if varies else self._array)

    def put(self, rows: Rows, found: NDArray[Any]) -> None:
        """Put the answers to the samples `rows` into the file."""
        found = _stored(found)
        if _has_texts(found.dtype):
            with self._lock:
                self._put_texts(rows, found)
            return
        with self._lock:
            array = self._open((self._samples, *self._longest(found.shape[1:])), found.dtype)
        if array.shape[1:] == found.shape[1:]:
            array[rows] = found
        else:
            array[(rows, *map(slice, found.shape[1:]))] = found

    def _longest(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an answer in the file: axes along which samples vary are as long as the longest."""
        if len(shape) != len(self._output.shape):
            return shape
        return tuple(self._lengths.get(axis, own) for axis, own in zip(self._output.shape, shape, strict=True))

    def _put_texts(self, rows: Rows, found: NDArray[Any]) -> None:
        """Put texts into the file, which becomes as wide as the longest so far; so it does not depend on their order."""
        import numpy as np

        array = self._open((self._samples, *found.shape[1:]), found.dtype)
        if (dtype := np.promote_types(found.dtype, array.dtype)) != array.dtype:
            self._path.unlink()  # what is open stays
            self._array = None
            wider = self._open(array.shape, dtype)
            for start in range(0, self._samples, _ROWS):
                wider[start : start + _ROWS] = array[start : start + _ROWS]
            array = wider
        array[rows] = found

    def _open(self, shape: tuple[int, ...], dtype: Any) -> Any:
        import numpy as np

        if self._array is None:
            self._array = np.lib.format.open_memmap(self._path, mode="w+", dtype=dtype, shape=shape)
        return self._array

    def close(self) -> None:
        """Write out what is not written yet."""
        self._array.flush()
        self._array = None


def _stored(found: NDArray[Any]) -> NDArray[Any]:
    """Return answers as a file holds them: texts as bytes, which numpy can map into memory, those among other outputs, too."""
    if found.dtype.kind == "O":
        return found.astype(bytes)
    if found.dtype.names and found.dtype.hasobject:
        return joined({name: _stored(found[name]) for name in found.dtype.names})
    return found


def _has_texts(dtype: Any) -> bool:
    return any(dtype[name].base.kind == "S" for name in dtype.names) if dtype.names else dtype.kind == "S"


def _check_shape(found: Any, samples: int, output: OutputFacts, written: Any) -> None:
    """Check the shape of a batch's answers, of one tensor; `written` is the array of those before.

    Raises:
        PluginError: it is another.
    """
    shape: tuple[int, ...] = getattr(found, "shape", ())
    wanted: tuple[int | str, ...] = output.shape if written is None else written.shape[1:]
    if wanted == ANY_SHAPE:
        wanted = shape[1:]
    fits = shape[:1] == (samples,) and len(shape) == 1 + len(wanted)
    if fits and all(isinstance(axis, str) or axis == own for axis, own in zip(wanted, shape[1:], strict=True)):
        return
    if written is not None and len(shape) == 1 + len(wanted) and any(isinstance(axis, str) for axis in output.shape):
        msg = (
            f"the model answers {shape[1:]} to some samples, and {wanted} to others\n"
            "  have a handler after it make them alike: [tool.modelyard.handlers] after, for instance nms"
        )
        raise PluginError(msg)
    said = f"({', '.join(map(str, (samples, *wanted)))})"
    msg = (
        f"the runtime answered {shape or type(found).__name__} for {samples} samples, not the shape {said}\n"
        "  predict must return one answer a sample, as the task wants them"
    )
    raise PluginError(msg)
