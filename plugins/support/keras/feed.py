"""Feed a memory-mapped split to TensorFlow: raw batches from disk, preprocessed in the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.tensors import is_whole
from modelyard_plugins.support.data.augmenting import Augmenting

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.tensors import Preprocessing

NOTHING = Augmenting()
_AHEAD = 4
"""Batches that are made while the model is busy with one."""


def batches(
    dataset: Dataset,
    rows: NDArray[np.int64],
    batch_size: int,
    *,
    seed: int | None,
    augmenting: Augmenting = NOTHING,
    class_weights: NDArray[np.float32] | None = None,
) -> Any:
    """Return a `tf.data.Dataset` of `(inputs, targets)`, or of `(inputs, labels, weights)`, for `rows` of the training split.

    Raw samples stay on disk until their batch is due, and become float32 a batch at a time; whole numbers stay as they are.

    Args:
        dataset: the data set.
        rows: the samples to feed, int64, shape `(n,)`.
        batch_size: samples a batch; the last one may be smaller.
        seed: shuffle anew each epoch, from this seed; None keeps the order.
        augmenting: what is done to pictures, drawn from the same seed.
        class_weights: what a sample of each class counts, shape `(classes,)`; None: there are no weights.
    """
    import tensorflow as tf

    x, y = dataset.x("train"), dataset.y("train")
    shape = dataset.facts.input_shape
    signature = (
        tf.TensorSpec((None, *shape), tf.as_dtype(x.dtype)),
        tf.TensorSpec((None, *y.shape[1:]), tf.as_dtype(y.dtype)),
    )
    epochs = _Epochs(x, y, rows, batch_size, seed, augmenting)
    raw = tf.data.Dataset.from_generator(epochs, output_signature=signature)
    counted = raw.apply(tf.data.experimental.assert_cardinality(-(-len(rows) // batch_size)))
    ready = counted if is_whole(dataset.facts.dtype) else counted.map(_preprocess(dataset.facts.preprocessing))
    if class_weights is not None:
        ready = ready.map(_weigh(class_weights))
    return ready.prefetch(_AHEAD)


class _Epochs:
    """Called once an epoch; yields its batches."""

    def __init__(
        self,
        x: NDArray[np.generic],
        y: NDArray[np.generic],
        rows: NDArray[np.int64],
        batch_size: int,
        seed: int | None,
        augmenting: Augmenting,
    ) -> None:
        import numpy as np

        self.x, self.y, self.rows, self.batch_size = x, y, rows, batch_size
        self.augmenting = augmenting
        self.random = None if seed is None else np.random.default_rng(seed)

    def __call__(self) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
        order = self.rows if self.random is None else self.random.permutation(self.rows)
        return self.epoch(order)

    def epoch(self, order: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic]]]:
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            samples = self.x[chosen]
            if self.augmenting and self.random is not None:
                samples = self.augmenting.apply(samples, self.random)
            yield samples, self.y[chosen]


def _preprocess(preprocessing: Preprocessing) -> Any:
    """Return a function for `tf.data` that does what `Preprocessing.apply` does."""
    import tensorflow as tf

    mean, std = tf.constant(preprocessing.mean, tf.float32), tf.constant(preprocessing.std, tf.float32)

    def preprocess(raw: Any, labels: Any) -> tuple[Any, Any]:
        return (tf.cast(raw, tf.float32) * preprocessing.scale - mean) / std, labels

    return preprocess


def _weigh(class_weights: NDArray[np.float32]) -> Any:
    """Return a function for `tf.data` that puts each sample's weight behind its label."""
    import tensorflow as tf

    weights = tf.constant(class_weights)

    def weigh(inputs: Any, labels: Any) -> tuple[Any, Any, Any]:
        return inputs, labels, tf.gather(weights, labels)

    return weigh
