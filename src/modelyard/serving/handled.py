"""A model with its handlers around it, as clients ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .groups import in_order
from .handlers import Refused
from .model import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .handlers import Chain, Tensors
    from .model import Predictor


class Handled:
    """A model with its handlers around it: what clients ask.

    A few samples at a time go all the way, so that what their pictures are made into need not be in memory at once.
    """

    def __init__(self, predictor: Predictor, chain: Chain, *, alone: bool = False) -> None:
        """Put handlers around a model.

        Args:
            predictor: the model.
            chain: the handlers.
            alone: whether each sample goes by itself: the model answers some with more, and handlers make that alike.
        """
        self._predictor, self._chain = predictor, chain
        tensors = (*chain.model_inputs().values(), *chain.model_outputs().values(), *chain.outputs().values())
        varies = any(isinstance(axis, str) for one in tensors for axis in one.shape)
        self._step = 1 if alone else 0 if varies else CHUNK  # parts of unlike lengths cannot be put together

    def run(self, inputs: Tensors) -> Tensors:
        """Return what clients get by output, each of shape `(N, *shape)`, for what they sent.

        Raises:
            InputError: a sample is not what the handlers take, or the model.
        """
        rows = len(next(iter(inputs.values())))
        step = self._step or max(1, rows)
        parts = [self._part(inputs, start, start + step) for start in range(0, rows, step)]
        if len(parts) == 1:
            return parts[0]
        return {name: self._joined(name, [part[name] for part in parts]) for name in parts[0]}

    def _joined(self, name: str, parts: list[NDArray[Any]]) -> NDArray[Any]:
        if len({part.shape[1:] for part in parts}) > 1:
            shapes = ", ".join(sorted({str(part.shape[1:]) for part in parts}))
            msg = f"the answers {name!r} have unlike shapes, {shapes}: send the samples one at a time"
            raise InputError(msg)
        return np.concatenate(parts)

    def _part(self, inputs: Tensors, start: int, end: int) -> Tensors:
        try:
            groups = self._chain.prepare({name: array[start:end] for name, array in inputs.items()})
        except Refused as exc:
            raise exc.after(start) from exc
        parts = [self._chain.finish(self._predictor.run(one.tensors)) for one in groups]
        if len(parts) == 1:
            return parts[0]
        order = in_order(groups)
        return {name: self._joined(name, [part[name] for part in parts])[order] for name in parts[0]}
