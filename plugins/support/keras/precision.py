"""Training of a model of either Keras in bfloat16: its layers compute in it, its weights stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.params import Precision


def learner(keras: Any, model: Any, build: Callable[[], Any], precision: Precision) -> Any:
    """Return what to train: `model` itself, or for bfloat16 a model like it, with its weights, that computes in that.

    A model remembers what it computes in, so what ships is never the one that was trained in bfloat16.

    Args:
        keras: the package that the model is of.
        model: the project's model.
        build: builds another one.
        precision: what is computed in.
    """
    if precision == "float32":
        return model
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        twin = build()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    twin.set_weights(model.get_weights())
    return twin


def take_weights(model: Any, trained: Any) -> None:
    """Give `model` the weights of what was trained in its place."""
    if trained is not model:
        model.set_weights(trained.get_weights())
