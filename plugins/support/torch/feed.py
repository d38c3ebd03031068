"""Feed a memory-mapped split to PyTorch: raw batches from disk, preprocessed as the server does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.tensors import model_inputs
from modelyard_plugins.support.data.augmenting import Augmenting

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset


NOTHING = Augmenting()


class Feed:
    """The batches of some rows of the training split; each iteration is an epoch, `len` says how many batches it has.

    Raw samples stay on disk until their batch is due. A last batch of a single sample joins the one before it: batch
    normalization has no spread to measure in one sample, and torch refuses it.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        batch_size: int,
        *,
        seed: int | None,
        device: Any,
        augmenting: Augmenting = NOTHING,
    ) -> None:
        """Make a feed.

        Args:
            dataset: the data set.
            rows: the samples to feed, int64, shape `(n,)`.
            batch_size: samples a batch; the last one may be smaller, or larger by one.
            seed: shuffle anew each epoch, from this seed; None keeps the order.
            device: where the batches go.
            augmenting: what is done to pictures, drawn from the same seed.
        """
        import numpy as np

        self._dataset, self._rows, self._device, self._augmenting = dataset, rows, device, augmenting
        self._x, self._y = dataset.x("train"), dataset.y("train")
        self._random = None if seed is None else np.random.default_rng(seed)
        ends = list(range(batch_size, len(rows), batch_size))
        if ends and ends[-1] == len(rows) - 1:
            del ends[-1]
        self._bounds = list(zip([0, *ends], [*ends, len(rows)], strict=True))

    def __len__(self) -> int:
        return len(self._bounds)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield inputs, shape `(n, *input_shape)`, and targets as `Dataset.y` says, as tensors.

        Inputs are float32, or whole numbers as they are.
        """
        import torch

        facts = self._dataset.facts
        order = self._rows if self._random is None else self._random.permutation(self._rows)
        for begin, end in self._bounds:
            chosen = order[begin:end]
            samples = self._x[chosen]
            if self._augmenting and self._random is not None:
                samples = self._augmenting.apply(samples, self._random)
            inputs = model_inputs(samples, facts.dtype, facts.preprocessing)
            labels = self._y[chosen]
            yield torch.from_numpy(inputs).to(self._device), torch.from_numpy(labels).to(self._device)
