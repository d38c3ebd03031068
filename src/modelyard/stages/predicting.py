"""What a model answers to many samples: several predictors share them, and the answers go to a file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

from modelyard.asking import ask, count
from modelyard.errors import PluginError
from modelyard.files.sizes import total_size
from modelyard.stages.sizes import copies_in_memory
from modelyard.system import usable_cpus
from modelyard.tensors import ANY_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from modelyard.artifacts import Model
    from modelyard.asking import Samples
    from modelyard.contexts import Predictor, Progress
    from modelyard.task import Task
    from modelyard.tensors import OutputFacts


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
) -> None:
    """Write what a model answers to `samples` to `file`, shape `(N, *output.shape)`.

    Several predictors share the batches. A batch holds the same samples however many they are, so the answers do not
    depend on it. One batch of answers for each of them is in memory.

    Raises:
        PluginError: an answer has another shape, or is none that the task knows.
    """
    total = count(samples)
    starts = range(0, total, batch_size)
    idle: SimpleQueue[Predictor] = SimpleQueue()
    answers = _File(file, total, output)

    def answer(start: int) -> int:
        predictor = idle.get()
        try:
            batch = {name: array[start : start + batch_size] for name, array in samples.items()}
            found = ask(predictor, batch, output.name)
        finally:
            idle.put(predictor)
        answers.check(found, count(batch))
        task.check_answers(found, start)
        answers.put(start, found)
        return start + count(batch)

    together = max(1, min(workers, len(starts)))
    for _ in range(together):
        idle.put(open_model())
    with ThreadPoolExecutor(together) as pool:
        for done in pool.map(answer, starts):
            progress(done, total, unit="samples")
    answers.close()


class _File:
    """A file of answers, made when the first are there: only they say how long an axis is that may vary."""

    def __init__(self, path: Path, samples: int, output: OutputFacts) -> None:
        self._path, self._samples, self._output = path, samples, output
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
            _check_shape(found, samples, self._output, self._array)

    def put(self, start: int, found: NDArray[Any]) -> None:
        """Put the answers from sample `start` on into the file."""
        rows = slice(start, start + len(found))
        if found.dtype.kind == "O":
            with self._lock:
                self._put_texts(rows, found.astype(bytes))
            return
        with self._lock:
            array = self._open((self._samples, *found.shape[1:]), found.dtype)
        array[rows] = found

    def _put_texts(self, rows: slice, found: NDArray[Any]) -> None:
        """Put texts into the file, which becomes as wide as the longest so far; so it does not depend on their order."""
        array = self._open((self._samples, *found.shape[1:]), found.dtype)
        if found.dtype.itemsize > array.dtype.itemsize:
            self._path.unlink()  # what is open stays
            self._array = None
            wider = self._open(array.shape, found.dtype)
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
    said = f"({', '.join(map(str, (samples, *wanted)))})"
    msg = (
        f"the runtime answered {shape or type(found).__name__} for {samples} samples, not the shape {said}\n"
        "  predict must return one answer a sample, as the task wants them"
    )
    raise PluginError(msg)
