"""Ask a model that is loaded, however many inputs it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from modelyard.files.ragged import is_ragged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.contexts import NamedPredictor, Predictor
    from modelyard.files.columns import Ragged
    from modelyard.signature import Axis

Samples = Mapping[str, "NDArray[Any]"]
"""Raw samples by input, each of shape `(N, *shape)`."""
Lengths = Mapping["Axis", "NDArray[np.int64]"]
"""How long each sample is, shape `(N,)`, by the axis along which the model's inputs vary; empty: all are of one shape."""


def ask(predictor: Predictor, samples: Samples, output: str) -> NDArray[Any]:
    """Return what the model answers in `output`, shape `(N, *shape)`."""
    if len(samples) == 1:
        (raw,) = samples.values()
        return predictor.predict(raw)
    return cast("NamedPredictor", predictor).run(samples)[output]


def is_named(predictor: Predictor) -> TypeGuard[NamedPredictor]:
    """Tell whether a model that is loaded answers by name."""
    return hasattr(predictor, "run")


def some_of(samples: Samples, rows: Any) -> dict[str, NDArray[Any]]:
    """Return some rows of samples; those of several lengths stay so."""
    whole = rows_of({name: array for name, array in samples.items() if not is_ragged(array)}, rows)
    return {name: whole[name] if name in whole else array.take(rows) for name, array in samples.items()}


def rows_of(samples: Mapping[str, NDArray[Any] | Ragged], rows: Any) -> dict[str, NDArray[Any]]:
    """Return some rows of samples, in memory."""
    import numpy as np

    def held(found: Any) -> NDArray[Any]:
        return np.array(found, object if isinstance(found, bytes) else None)  # numpy would cut zeros off

    return {name: held(array[rows]) for name, array in samples.items()}


def batches(total: int, most: int, lengths: Lengths) -> list[slice | NDArray[Any]]:
    """Return which of `total` samples a model is run on together, `most` at once: all of them, each once.

    Samples of several lengths are run beside others of their own length, as a client sends them, or as handlers make them of
    what it sends: nothing pads them.
    """
    import numpy as np

    if not lengths:
        return [slice(start, start + most) for start in range(0, total, most)]
    keys = list(lengths.values())
    order = np.lexsort(keys[::-1])
    sorted_lengths = np.stack(keys)[:, order]
    ends = np.flatnonzero((sorted_lengths[:, 1:] != sorted_lengths[:, :-1]).any(axis=0)) + 1
    groups = np.split(order, ends)
    return [group[start : start + most] for group in groups for start in range(0, len(group), most)]


def stacked(answers: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the answers to further and further samples as one array; those of shorter samples are filled with zeros."""
    import numpy as np

    shapes = {answer.shape[1:] for answer in answers}
    if len(shapes) == 1 or len({len(shape) for shape in shapes}) > 1:
        return np.concatenate(answers)
    found = np.zeros((sum(map(len, answers)), *map(max, zip(*shapes, strict=True))), answers[0].dtype)
    first = 0
    for answer in answers:
        found[(slice(first, first + len(answer)), *map(slice, answer.shape[1:]))] = answer
        first += len(answer)
    return found


def longest(lengths: Lengths) -> dict[Axis, int]:
    """Return how long the longest sample is, by the axis along which they vary."""
    return {axis: int(own.max(initial=0)) for axis, own in lengths.items()}


def count(samples: Samples) -> int:
    """Return how many samples there are."""
    return len(next(iter(samples.values())))
