"""In which order samples are learnt from, and which of them together: the same for a seed, on whatever machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelyard.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset

_BLOCKS = 8
"""Blocks of rows whose samples are mixed with each other."""


class Mixing(NamedTuple):
    """How samples are shuffled, and put together.

    Attributes:
        block: rows that lie side by side and stay near each other, so that they are read together; 0: any follows any.
        buckets: batches whose samples are sorted by their length before they are cut, so that little is padded; 0: none.
    """

    block: int = 0
    buckets: int = 0


PLAIN = Mixing()


class Order:
    """The batches of each epoch.

    Attributes:
        bounds: where each batch begins and ends, of as many samples as there are.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        batch_size: int,
        random: np.random.Generator | None,
        mixing: Mixing = PLAIN,
        *,
        least: int = 1,
    ) -> None:
        """Order samples of the training split.

        Args:
            dataset: the data set.
            rows: the samples, int64, shape `(n,)`.
            batch_size: samples a batch; the last one may be smaller.
            random: what shuffles them anew each epoch; None: they stay in their order.
            mixing: how.
            least: samples that a last batch needs; one that has fewer joins the batch before it.
        """
        self._rows, self._random, self._mixing = rows, random, mixing
        self._lengths = _lengths(dataset, mixing.buckets) if mixing.buckets else None
        self._window = mixing.buckets * batch_size
        ends = list(range(batch_size, len(rows), batch_size))
        if ends and len(rows) - ends[-1] < least:
            del ends[-1]
        self.bounds = list(zip([0, *ends], [*ends, len(rows)], strict=True))

    def epoch(self) -> list[NDArray[np.int64]]:
        """Return the rows of each batch of the next epoch."""
        order = self._shuffled()
        if self._lengths is not None:
            return self._bucketed(order)
        return [order[begin:end] for begin, end in self.bounds]

    def _shuffled(self) -> NDArray[np.int64]:
        if self._random is None:
            return self._rows
        if not self._mixing.block:
            return self._random.permutation(self._rows)
        return by_block(self._rows, self._mixing.block, self._random)

    def _bucketed(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return batches of samples of about one length, in an order that does not go by it."""
        import numpy as np

        assert self._lengths is not None
        windows = [order[start : start + self._window] for start in range(0, len(order), self._window)]
        near = np.concatenate([rows[np.argsort(self._lengths[rows], kind="stable")] for rows in windows])
        batches = [near[begin:end] for begin, end in self.bounds]
        if self._random is None:
            return batches
        return [batches[number] for number in self._random.permutation(len(batches))]


def by_block(rows: NDArray[np.int64], block: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return `rows` in another order, in which those of a block stay near each other: what is read is in a few places at a time.

    Blocks of `block` rows are shuffled, then the rows of every 8 blocks among themselves. A batch has samples of 8 blocks
    from anywhere, so samples that are alike should not be sorted in runs much longer than a block.
    """
    import numpy as np

    starts = random.permutation(np.arange(0, len(rows), block))
    mixed = np.concatenate([rows[start : start + block] for start in starts]) if len(starts) else rows
    window = block * _BLOCKS
    parts = [random.permutation(mixed[start : start + window]) for start in range(0, len(mixed), window)]
    return np.concatenate(parts) if parts else mixed


def _lengths(dataset: Dataset, buckets: int) -> NDArray[np.int64]:
    """Return how long each training sample is, along all axes that vary.

    Raises:
        DataError: all samples are of one shape.
    """
    found = list(dataset.lengths("train").values())
    if not found:
        msg = f"[tool.modelyard.train]: buckets = {buckets}: all samples are of one shape, so that nothing is padded\n  leave buckets out; a data set keeps several lengths with Streams(..., ragged=True)"
        raise DataError(msg)
    longest: NDArray[np.int64] = sum(found[1:], found[0])
    return longest
