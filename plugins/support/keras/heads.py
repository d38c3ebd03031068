"""Networks of either Keras that answer several tensors: bound to the project's outputs by name, and learnt together.

The package, `tf_keras` or `keras`, is passed in: TensorFlow decides which of them a process has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from modelyard.errors import PluginError, listing
from modelyard_plugins.support.heads import by_name
from modelyard_plugins.support.keras.figures import figure_of, loss_of_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import ModelFacts
    from modelyard_plugins.support.heads import Head
    from modelyard_plugins.support.keras.own_training import Steps


def with_heads(keras: Any, model: Any, names: Sequence[str]) -> Any:
    """Return `model` with the outputs `names` alone, in this order.

    They are the keys of a dict, or the names of the layers that end in them, or where no layer is called so a list in their order.

    Raises:
        PluginError: one is not there, or two come out of one layer, whose name they would share in a file.
    """
    outputs = model.output
    ends = _ends(model)
    if not isinstance(outputs, dict) and set(ends) & set(names):
        outputs = dict(zip(ends, model.outputs, strict=True))
    try:
        found = by_name(outputs, names)
    except PluginError as exc:
        msg = f"the model {model.name!r}: {exc}"
        raise PluginError(msg) from exc
    made = keras.Model(model.inputs, list(found.values()), name=model.name)
    if len(set(_ends(made))) < len(names):
        msg = f"the model {model.name!r}: outputs come out of one layer, which names them in a file: {listing(_ends(made))}\n  end each in a layer of its own, for instance Activation('linear', name={names[0]!r})"
        raise PluginError(msg)
    return made


def _ends(model: Any) -> list[str]:
    """Return the names of the layers that a model's outputs come out of, in order."""
    return [tensor._keras_history[0].name for tensor in model.outputs]  # noqa: SLF001 - there is no other way to ask


def answering(model: Any, facts: ModelFacts) -> Callable[[Any], Any]:
    """Return what gives the answers of a model that is not trained: the tensor of one that answers one, else by the outputs' names."""
    import tensorflow as tf

    if len(model.outputs) == 1:
        return lambda inputs: model(inputs, training=False)
    numbers = numbers_of(model, facts)

    def answers(inputs: Any) -> dict[str, Any]:
        given = tf.nest.flatten(model(inputs, training=False))
        return {name: given[number] for name, number in numbers.items()}

    return answers


def numbers_of(model: Any, facts: ModelFacts) -> dict[str, int]:
    """Return which of a model's tensors each output is, by its name."""
    places = _places(model)
    return {one.name: places[one.tensor or one.name] for one in facts.outputs}


def _places(model: Any) -> dict[str, int]:
    """Return the place of each output by the name of its layer, and by that of a layer that was wrapped to be trained."""
    found: dict[str, int] = {}
    for place, tensor in enumerate(model.outputs):
        layer = tensor._keras_history[0]  # noqa: SLF001
        while layer is not None:
            found.setdefault(layer.name, place)
            layer = getattr(layer, "layer", None)
    return found


def named_after(facts: ModelFacts, model: Any) -> ModelFacts:
    """Return facts that say what the file of `model`, whose outputs are in the order of theirs, calls each of them."""
    pairs = zip(facts.outputs, _ends(model), strict=True)
    return replace(facts, outputs=tuple(_called(one, end) for one, end in pairs))


def bound(facts: ModelFacts, model: Any) -> ModelFacts | None:
    """Return facts that say what the file of `model` calls each of several outputs; None: they say it already.

    Args:
        facts: those of the model that `model` was made of, whose layers it has, or has wrapped.
        model: the model.
    """
    if len(facts.outputs) == 1:
        return None
    numbers, ends = numbers_of(model, facts), _ends(model)
    outputs = tuple(_called(one, ends[numbers[one.name]]) for one in facts.outputs)
    return None if outputs == facts.outputs else replace(facts, outputs=outputs)


def _called(one: Any, end: str) -> Any:
    return one if end == (one.tensor or one.name) else replace(one, tensor="" if end == one.name else end)


def steps_of(
    keras: Any,
    model: Any,
    facts: ModelFacts,
    heads: Mapping[str, Head],
    own: Callable[[Any, Any], Any] | None = None,
    class_weights: Mapping[str, NDArray[np.float32]] | None = None,
) -> Steps:
    """Return the steps of `model` down the sum of its outputs' losses, each times its weight.

    Args:
        keras: the package that the model is of.
        model: the model, which is compiled.
        facts: what it answers, and what the layers are called.
        heads: the outputs that are learnt.
        own: what is made small instead: `own(targets, answers)`, of dicts by the outputs' names.
        class_weights: what a sample of each class counts while it is learnt, by output.
    """
    import tensorflow as tf

    look = _looking(keras, heads, own)
    numbers = numbers_of(model, facts)
    weights = {name: tf.constant(one) for name, one in (class_weights or {}).items()}

    def answers(inputs: Any, *, training: bool) -> dict[str, Any]:
        given = tf.nest.flatten(model(inputs, training=training))
        return {name: tf.cast(given[number], tf.float32) for name, number in numbers.items()}

    def figures(batch: Any, *, training: bool) -> dict[str, Any]:
        inputs, targets = batch
        counts = {name: tf.gather(one, targets[name]) for name, one in weights.items() if training}
        found = look(targets, answers(inputs, training=training), counts)
        return {**found, "loss": tf.add_n([found["loss"], *(tf.cast(one, tf.float32) for one in model.losses)])}

    def train_step(batch: Any) -> dict[str, Any]:
        with tf.GradientTape() as tape:
            found = figures(batch, training=True)
        learnt = [one if isinstance(one, tf.Variable) else one.value for one in model.trainable_variables]
        model.optimizer.apply_gradients(zip(tape.gradient(found["loss"], learnt), learnt, strict=True))
        return found

    return {"train_step": train_step, "test_step": lambda batch: figures(batch, training=False)}


def _looking(
    keras: Any, heads: Mapping[str, Head], own: Callable[[Any, Any], Any] | None
) -> Callable[[Any, Any, Any], dict[str, Any]]:
    """Return what gives the figures of a batch of targets and answers, by name; samples count as told, in the losses."""
    import tensorflow as tf

    losses = {name: loss_of_head(keras, head) for name, head in heads.items()}
    beside = {name: figure_of(head) for name, head in heads.items()}

    def look(targets: Any, answers: Any, counts: Mapping[str, Any]) -> dict[str, Any]:
        each = {
            name: loss(targets[name], answers[name], sample_weight=counts.get(name)) for name, loss in losses.items()
        }
        weighed = [tf.zeros(()), *(heads[name].weight * one for name, one in each.items())]
        found = {"loss": tf.add_n(weighed) if own is None else tf.reduce_mean(own(targets, answers))}
        for name, loss in each.items():
            called, measure = beside[name]
            found[f"{name}_loss"] = loss
            found[f"{name}_{called}"] = tf.reduce_mean(measure(targets[name], answers[name]))
        return found

    return look
