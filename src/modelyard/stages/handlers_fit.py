"""Whether the handlers fit each other and the model, so that what the task measures is there behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, did_you_mean
from modelyard.serving.errors import HandlerError
from modelyard.serving.handlers import may_be

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.artifacts import ModelFacts
    from modelyard.serving.handler_tensor import Tensor
    from modelyard.serving.handlers import Chain
    from modelyard.tensors import InputFacts, OutputFacts


def check_fit(chain: Chain, facts: ModelFacts, counted: Iterable[str]) -> None:
    """Check that the handlers fit each other and the model, and leave the tensors `counted`, which the task measures.

    Raises:
        PluginError: they do not.
    """
    try:
        given, wanted = chain.model_inputs(), chain.model_outputs()
        gives = chain.outputs()
    except HandlerError as exc:
        raise PluginError(str(exc)) from exc
    takes, answers = {one.name: one for one in facts.inputs}, {one.name: one for one in facts.outputs}
    for tensor in given.values():
        _check_tensor(tensor, takes, "the handlers give", "takes", "")
    for tensor in wanted.values():
        _check_tensor(tensor, answers, f"{_taker(tensor, chain)} takes", "answers", _advice(tensor, chain, answers))
    left = [*filter(chain.let_by, answers), *gives]
    for name in counted:
        if name not in left:
            msg = (
                f"the handlers leave {quoted(left)}, but the task measures {name!r}{did_you_mean(name, left)}\n"
                "  let them give it, too; or name another tensor: [tool.modelyard.handlers] answer"
            )
            raise PluginError(msg)


def quoted(names: Iterable[str]) -> str:
    """Return names as messages list those of tensors."""
    return ", ".join(map(repr, names))


def _taker(tensor: Tensor, chain: Chain) -> str:
    """Return which handler takes a tensor of the model's."""
    return next(one.who for one in chain.after if tensor.name in {taken.name for taken in one.takes})


def _advice(tensor: Tensor, chain: Chain, answers: Mapping[str, OutputFacts]) -> str:
    """Return what to do about a tensor that the model does not answer, or answers otherwise."""
    for one in chain.after:
        already = [given.name for given in one.gives if given.name in answers]
        if already and tensor.name in {taken.name for taken in one.takes}:
            return f"the model answers {quoted(already)} itself: leave {one.name!r} out"
    return "name the model's tensors in [tool.modelyard.handlers] outputs, and the handler's by its parameters"


def _check_tensor(
    tensor: Tensor, model: Mapping[str, InputFacts | OutputFacts], what: str, verb: str, advice: str
) -> None:
    """Check that a tensor between the handlers and the model is the same to both.

    Args:
        tensor: what handlers take or give.
        model: the tensors of the model on that side, by name.
        what: who does which with it.
        verb: what the model does with its own.
        advice: what to do about it; empty: nothing can be said.

    Raises:
        PluginError: the model has none of that name, or it has another type or other axes.
    """
    own: Any = model.get(tensor.name)
    if own is not None and tensor.dtype == own.dtype and may_be(tensor.shape, own.shape):
        return
    if own is None:
        msg = f"{what} {tensor.name!r}, but the model {verb} {quoted(model)}{did_you_mean(tensor.name, model)}"
    else:
        msg = f"{what} {tensor.name!r} as {tensor.dtype}, shape {tensor.shape}; the model's is {own.dtype}, shape {own.shape}"
    raise PluginError(f"{msg}\n  {advice}" if advice else msg)
