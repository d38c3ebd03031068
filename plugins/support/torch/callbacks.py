"""Callbacks of the project's own for a PyTorch module: objects with the methods that Keras' callbacks have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import PluginError, did_you_mean, listing
from modelyard_plugins.support.own_training import callbacks_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.contexts import TrainContext

HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_train_end",
)
"""What a callback may have, called as Keras calls it: with the number of the epoch or batch, from 0, and figures by name."""
_GIVEN = ("set_model", "set_optimizer")


class Callbacks:
    """The callbacks of a training; a training without any has an empty one."""

    def __init__(self, found: list[Any] | None = None) -> None:
        """Tell `found`, in this order."""
        self._found = found or []
        self._module: Any = None

    @classmethod
    def of(cls, name: str, context: TrainContext) -> Callbacks:
        """Return those that the project's function called `name` makes; none if it is empty.

        Raises:
            PluginError: one has no method of a callback, or one that is none.
        """
        found = callbacks_of(name, context)
        for one in found:
            _check(one, name)
        return cls(found)

    def begin(self, module: Any, optimizer: Any) -> None:
        """Training begins: hand out the module, and what moves its weights."""
        self._module = module
        for one in self._found:
            for hook, given in zip(_GIVEN, (module, optimizer), strict=True):
                getattr(one, hook, _nothing)(given)
        self.tell("on_train_begin")

    def tell(self, hook: str, *number: int, logs: Mapping[str, float] | None = None) -> None:
        """Call a method of every callback that has it."""
        for one in self._found:
            getattr(one, hook, _nothing)(*number, dict(logs or {}))

    @property
    def are_over(self) -> bool:
        """Whether one has said that this was the last epoch: by `module.stop_training = True`, as in Keras."""
        return bool(getattr(self._module, "stop_training", False))

    def end(self) -> None:
        """Training is over."""
        self.tell("on_train_end")
        if hasattr(self._module, "stop_training"):
            del self._module.stop_training


def _nothing(*_: Any) -> None:
    """What a callback does that lacks a method."""


def _check(one: Any, name: str) -> None:
    own = [method for method in dir(one) if method.startswith("on_")]
    wrong = next((method for method in own if method not in HOOKS), None)
    if own and wrong is None:
        return
    kind = f"{type(one).__module__}.{type(one).__qualname__}"
    what = f"has a method {wrong!r}{did_you_mean(wrong, HOOKS)}" if wrong else "has no method of a callback"
    msg = f"[tool.modelyard.train]: key 'callbacks': a {kind} of {name} {what}\n  there are: {listing(HOOKS)}"
    raise PluginError(msg)
