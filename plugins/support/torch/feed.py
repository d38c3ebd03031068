"""Feed a memory-mapped split to PyTorch: raw batches from disk, preprocessed as the server does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.tensors import model_inputs
from modelyard_plugins.support.data.augmenting import Augmenting
from modelyard_plugins.support.data.order import PLAIN, Mixing, Order
from modelyard_plugins.support.data.targets import Targets
from modelyard_plugins.support.torch.calling import tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.tensors import InputFacts

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
        inputs: Sequence[InputFacts] = (),
        augmenting: Augmenting = NOTHING,
        mixing: Mixing = PLAIN,
    ) -> None:
        """Make a feed.

        Args:
            dataset: the data set.
            rows: the samples to feed, int64, shape `(n,)`.
            batch_size: samples a batch; the last one may be smaller, or larger by one.
            seed: shuffle anew each epoch, from this seed; None keeps the order.
            device: where the batches go.
            inputs: those of the model, if its file may call them other than the data set does.
            augmenting: what is done to pictures, drawn from the same seed.
            mixing: how samples are shuffled.
        """
        import numpy as np

        self._device, self._augmenting = device, augmenting
        self._inputs = inputs or dataset.facts.inputs
        self._columns, self._targets = dataset.raw("train"), Targets(dataset)
        self._random = None if seed is None else np.random.default_rng(seed)
        self._order = Order(dataset, rows, batch_size, self._random, mixing, least=2)

    def __len__(self) -> int:
        return len(self._order.bounds)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield inputs, shape `(n, *input_shape)`, and targets as `Dataset.y` says, as tensors; several of either as a dict.

        Inputs are float32, or whole numbers as they are.
        """
        import torch

        for chosen in self._order.epoch():
            samples = {name: x[chosen] for name, x in self._columns.items()}
            y = self._targets.of(chosen)
            if self._augmenting and self._random is not None:
                samples, y = self._augmenting.change(self._inputs, samples, y, self._random)
            made = {one.name: model_inputs(samples[one.name], one.dtype, one.preprocessing) for one in self._inputs}
            labels = self._targets.beside(y, samples)
            targets = (
                {name: torch.from_numpy(one).to(self._device) for name, one in labels.items()}
                if isinstance(labels, dict)
                else torch.from_numpy(labels).to(self._device)
            )
            yield tensors(self._inputs, made, self._device), targets
