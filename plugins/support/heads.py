"""The outputs of a network that are learnt together, each with a loss of its own. Imports no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelyard.errors import PluginError
from modelyard.tensors import ANY_SHAPE
from modelyard_plugins.support.losses import check_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelyard.artifacts import DatasetFacts, ModelFacts, Shape
    from modelyard.contexts import OptimizeContext, TrainContext
    from modelyard.tensors import Loss


class Head(NamedTuple):
    """An output that is learnt.

    Attributes:
        loss: what is made small.
        weight: what its loss counts in the sum of all.
        is_logits: whether the network answers logits; otherwise what clients get.
        positions: whether it has several answers a sample, each with a label of its own.
    """

    loss: Loss
    weight: float
    is_logits: bool
    positions: bool


def heads_of(context: TrainContext | OptimizeContext, facts: ModelFacts, own: str = "") -> dict[str, Head]:
    """Return the outputs that are learnt, by name; none where a project learns one.

    Args:
        context: the data set, and what each loss counts.
        facts: what the network answers.
        own: the loss, or the step, of the project's own, which needs none of a task: an output without one is left out then.

    Raises:
        PluginError: an output has no loss, or one that does not go with its activation.
    """
    outputs = {one.name: one for one in facts.outputs}
    found = {}
    for name, loss in learnt(context).items():
        one = outputs[name]
        if own and not loss:
            continue
        check_loss(f"output {name!r}", loss, one.activation)
        found[name] = Head(loss, context.loss_weights[name], one.outside != "none", len(one.shape) > 1)
    return found


def learnt(context: TrainContext | OptimizeContext) -> dict[str, Loss]:
    """Return the loss of each of several outputs that is learnt, in the order of the outputs."""
    facts = context.dataset.facts
    names = [one.name for one in facts.outputs if one.name in facts.losses]
    return {name: facts.losses[name] for name in names if context.loss_weights.get(name)}


def labels_of(y: NDArray[Any]) -> Any:
    """Return labels of several outputs as a dict of arrays by the outputs' names; of one output, the array."""
    import numpy as np

    names = y.dtype.names
    return y if names is None else {name: np.ascontiguousarray(y[name]) for name in names}


def by_name(answer: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return what a network answers by the names of its outputs, in their order.

    Args:
        answer: a dict, which may hold more, or a tuple with fields of these names; or a tuple or list in their order.
        names: the outputs.

    Raises:
        PluginError: it is something else, or an output is not there.
    """
    given = answer._asdict() if hasattr(answer, "_asdict") else answer
    if isinstance(given, tuple | list) and len(given) == len(names):
        return dict(zip(names, given, strict=True))
    if isinstance(given, dict) and all(name in given for name in names):
        return {name: given[name] for name in names}
    msg = f"it answers {_described(given)}, but the outputs are {', '.join(names)}\n  return a dict of tensors by these names, or a tuple in their order"
    raise PluginError(msg)


def check_single(answer: Any, who: str) -> None:
    """Check that a network answers one tensor, where one output is learnt.

    Args:
        answer: what it answers: a tensor, or several in a dict, tuple or list.
        who: the network, for the message.

    Raises:
        PluginError: it answers several.
    """
    given = answer._asdict() if hasattr(answer, "_asdict") else answer
    if isinstance(given, dict | tuple | list):
        msg = f"{who} answers {_described(given)}, but one output is learnt\n  return one tensor, or say what each is: [tool.modelyard.task.outputs.NAME]"
        raise PluginError(msg)


def _described(given: Any) -> str:
    if isinstance(given, dict):
        return f"the tensors {', '.join(map(str, given))}" if given else "nothing"
    return f"{len(given)} tensors" if isinstance(given, tuple | list) else "one tensor"


def widths(facts: DatasetFacts) -> Any:
    """Return the second argument of what builds a network: how many numbers it answers; a dict where there are several outputs."""
    return facts.widths if facts.losses else facts.classes


def each_answer(facts: DatasetFacts) -> dict[str, Shape]:
    """Return the shape of each answer of which something is known, without the axis of the batch, by the output's name."""
    known = {one.name: one.shape for one in facts.outputs if one.shape != ANY_SHAPE}
    return {name: tuple(axis if isinstance(axis, int) else None for axis in shape) for name, shape in known.items()}
