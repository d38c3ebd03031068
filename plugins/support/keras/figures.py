"""What models of either Keras make small for an output, and the figure that is told beside it.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelyard_plugins.support.losses import FIGURES, IGNORED

if TYPE_CHECKING:
    from modelyard_plugins.support.heads import Head

_OfBoth = Callable[[Any, Any], Any]
"""From targets and answers to a figure of each sample, shape `(N,)`."""


def loss_of_head(keras: Any, head: Head) -> Any:
    """Return the loss of an output: an object of Keras, from targets and answers to their mean."""
    ignored = {"ignore_class": IGNORED} if head.positions else {}
    losses = {
        "cross-entropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=head.is_logits, **ignored),
        "binary-cross-entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=head.is_logits),
        "squared-error": keras.losses.MeanSquaredError,
        "absolute-error": keras.losses.MeanAbsoluteError,
    }
    return losses[head.loss]()


def figure_of(head: Head) -> tuple[str, _OfBoth]:
    """Return what is told beside the loss of an output, and what it is called."""
    kinds: dict[str, _OfBoth] = {
        "accuracy": position_accuracy,
        "binary_accuracy": binary_accuracy(0.0 if head.is_logits else 0.5),
        "mean_absolute_error": _distance,
    }
    return FIGURES[head.loss], kinds[FIGURES[head.loss]]


def position_accuracy(labels: Any, answers: Any) -> Any:
    """The part of the positions of each sample that count where the answer is right, shape `(N,)`."""
    import tensorflow as tf

    labels = tf.cast(labels, tf.int64)
    counted = tf.cast(labels != IGNORED, tf.float32)
    hits = counted * tf.cast(tf.argmax(answers, axis=-1) == labels, tf.float32)
    axes = list(range(1, len(answers.shape) - 1))
    return tf.math.divide_no_nan(tf.reduce_sum(hits, axes), tf.reduce_sum(counted, axes))


position_accuracy.__name__ = "accuracy"


def binary_accuracy(threshold: float) -> Any:
    """Return the metric of that name, for answers that mean yes above `threshold`: Keras 3's own takes no logits."""
    import tensorflow as tf

    def binary_accuracy(labels: Any, answers: Any) -> Any:
        is_right = tf.equal(answers > threshold, tf.cast(labels, tf.bool))
        return tf.reduce_mean(tf.cast(is_right, tf.float32), axis=-1)

    return binary_accuracy


def _distance(targets: Any, answers: Any) -> Any:
    import tensorflow as tf

    return tf.abs(answers - tf.cast(targets, tf.float32))
