"""Feed a memory-mapped split to TensorFlow: raw batches from disk, preprocessed in the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.tensors import is_kept
from modelyard_plugins.support.data.augmenting import Augmenting
from modelyard_plugins.support.data.order import PLAIN, Mixing, Order
from modelyard_plugins.support.data.targets import Targets
from modelyard_plugins.support.keras.inputs import given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Dataset
    from modelyard.tensors import InputFacts

NOTHING = Augmenting()
_AHEAD = 4
"""Batches that are made while the model is busy with one."""


def batches(
    dataset: Dataset,
    rows: NDArray[np.int64],
    batch_size: int,
    *,
    seed: int | None,
    inputs: Sequence[InputFacts] = (),
    augmenting: Augmenting = NOTHING,
    class_weights: NDArray[np.float32] | None = None,
    mixing: Mixing = PLAIN,
) -> Any:
    """Return a `tf.data.Dataset` of `(inputs, targets)`, or of `(inputs, labels, weights)`, for `rows` of the training split.

    Targets of several outputs are a dict of tensors by the outputs' names.
    Raw samples stay on disk until their batch is due, and become float32 a batch at a time; whole numbers and texts stay as they are.

    Args:
        dataset: the data set.
        rows: the samples to feed, int64, shape `(n,)`.
        batch_size: samples a batch; the last one may be smaller.
        seed: shuffle anew each epoch, from this seed; None keeps the order.
        inputs: those of the model, if its file may call them other than the data set does.
        augmenting: what is done to pictures, drawn from the same seed.
        class_weights: what a sample of each class counts, shape `(classes,)`; None: there are no weights.
        mixing: how samples are shuffled.
    """
    import numpy as np
    import tensorflow as tf

    columns, labels = dataset.raw("train"), Targets(dataset)
    taken, shapes = inputs or dataset.facts.inputs, dataset.facts.shapes
    specs = {name: tf.TensorSpec((None, *shapes[name]), _dtype(x.dtype)) for name, x in columns.items()}
    signature = (given(taken, specs), _specs(labels.specs))
    random = None if seed is None else np.random.default_rng(seed)
    order = Order(dataset, rows, batch_size, random, mixing)
    epochs = _Epochs(taken, columns, labels, order, random, augmenting)
    raw = tf.data.Dataset.from_generator(epochs, output_signature=signature)
    counted = raw.apply(tf.data.experimental.assert_cardinality(-(-len(rows) // batch_size)))
    ready = counted if all(is_kept(one.dtype) for one in taken) else counted.map(_preprocess(taken))
    if class_weights is not None:
        ready = ready.map(_weigh(class_weights))
    return ready.prefetch(_AHEAD)


def _dtype(stored: np.dtype[Any]) -> Any:
    """Return what samples of the type `stored` are for TensorFlow: objects are texts."""
    import tensorflow as tf

    return tf.string if stored.kind == "O" else tf.as_dtype(stored)


def _specs(said: Any) -> Any:
    """Return what targets are for TensorFlow: a tensor, or a dict of them."""
    import tensorflow as tf

    if isinstance(said, dict):
        return {name: _specs(one) for name, one in said.items()}
    shape, dtype = said
    return tf.TensorSpec(shape, tf.as_dtype(dtype))


class _Epochs:
    """Called once an epoch; yields its batches."""

    def __init__(
        self,
        inputs: Sequence[InputFacts],
        columns: Mapping[str, NDArray[np.generic]],
        targets: Targets,
        order: Order,
        random: np.random.Generator | None,
        augmenting: Augmenting,
    ) -> None:
        self.inputs, self.columns, self.targets = inputs, columns, targets
        self.order, self.random, self.augmenting = order, random, augmenting

    def __call__(self) -> Iterator[tuple[Any, Any]]:
        return self.epoch(self.order.epoch())

    def epoch(self, batches: Sequence[NDArray[np.int64]]) -> Iterator[tuple[Any, Any]]:
        for chosen in batches:
            samples = {name: x[chosen] for name, x in self.columns.items()}
            labels = self.targets.of(chosen)
            if self.augmenting and self.random is not None:
                samples, labels = self.augmenting.change(self.inputs, samples, labels, self.random)
            yield given(self.inputs, samples), self.targets.beside(labels, samples)


def _preprocess(inputs: Sequence[InputFacts]) -> Any:
    """Return a function for `tf.data` that does what `modelyard.tensors.model_inputs` does to each input."""
    each = {one.tensor or one.name: _preparing(one) for one in inputs}

    def preprocess(raw: Any, labels: Any) -> tuple[Any, Any]:
        if len(inputs) == 1:
            return each[inputs[0].tensor or inputs[0].name](raw), labels
        return {name: prepare(raw[name]) for name, prepare in each.items()}, labels

    return preprocess


def _preparing(one: InputFacts) -> Callable[[Any], Any]:
    import tensorflow as tf

    if is_kept(one.dtype):
        return lambda raw: raw
    how = one.preprocessing
    mean, std = tf.constant(how.mean, tf.float32), tf.constant(how.std, tf.float32)
    return lambda raw: (tf.cast(raw, tf.float32) * how.scale - mean) / std


def _weigh(class_weights: NDArray[np.float32]) -> Any:
    """Return a function for `tf.data` that puts each sample's weight behind its label."""
    import tensorflow as tf

    weights = tf.constant(class_weights)

    def weigh(inputs: Any, labels: Any) -> tuple[Any, Any, Any]:
        return inputs, labels, tf.gather(weights, labels)

    return weigh
