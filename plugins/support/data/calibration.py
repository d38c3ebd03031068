"""The samples that a quantizer measures the ranges of activations on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.contexts import OptimizeContext


def calibration_rows(dataset: Dataset, samples: int, seed: int) -> NDArray[np.int64]:
    """Return up to `samples` different rows of the training split, chosen from `seed`, sorted, int64."""
    import numpy as np

    there_are = dataset.facts.splits["train"].samples
    return np.sort(np.random.default_rng(seed).choice(there_are, min(samples, there_are), replace=False))


def fed(context: OptimizeContext, rows: slice | NDArray[np.int64], types: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return rows of the training split as the parent model takes them, by what its file calls its inputs.

    Args:
        context: the parent model and the data set.
        rows: the rows.
        types: the type of each input of the file, by its name.
    """
    tensors, inputs = context.dataset.tensors("train", rows), context.model.facts.inputs
    if len(inputs) == 1:
        return {name: tensors[inputs[0].name].astype(dtype, copy=False) for name, dtype in types.items()}
    named = {one.tensor or one.name: one.name for one in inputs}
    return {name: tensors[named[name]].astype(dtype, copy=False) for name, dtype in types.items()}


def rows_to_measure(context: OptimizeContext, samples: int) -> NDArray[np.int64]:
    """Return the rows of the training split that the ranges of activations are measured on, as `calibration_rows` does.

    Raises:
        DataError: the model keeps a state, or has constants, so that single samples are not all that it takes.
    """
    if context.model.facts.keeps or context.model.facts.fed:
        msg = (
            "the ranges of activations are measured on single samples, but [tool.modelyard.signature] gives this model more than them\n"
            "  take a model optimizer that needs no samples, for instance onnx-dynamic"
        )
        raise DataError(msg)
    return calibration_rows(context.dataset, samples, context.seed)


def samples(
    context: OptimizeContext, rows: NDArray[np.int64], types: Mapping[str, Any]
) -> Callable[[], Iterator[list[NDArray[Any]] | dict[str, NDArray[Any]]]]:
    """Return what the LiteRT converter calibrates with: a function that yields the model's inputs for one row at a time.

    Args:
        context: the parent model and the data set.
        rows: rows of the training split, int64, shape `(n,)`.
        types: the type of each of the model's inputs, by its name.
    """

    def generate() -> Iterator[list[NDArray[Any]] | dict[str, NDArray[Any]]]:
        for row in rows:
            inputs = fed(context, slice(row, row + 1), types)
            yield inputs if len(inputs) > 1 else list(inputs.values())

    return generate
