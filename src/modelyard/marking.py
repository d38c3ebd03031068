"""`hookimpl`: pluggy's mark for a hook, and beside it which stages the hook concerns and whether it only observes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import msgspec
import pluggy

_Function = TypeVar("_Function", bound=Callable[..., Any])
_mark = pluggy.HookimplMarker("modelyard")
_SCOPE = "modelyard_scope"

SCOPED = ("modelyard_before_stage_run", "modelyard_after_stage_run", "modelyard_on_stage_error")
"""The hooks that are called around each stage, so that it can be said which stages they concern."""


class Scope(msgspec.Struct, frozen=True):
    """What a hook says of itself.

    Attributes:
        observes: that it changes nothing of what a stage writes; its code is then in no key.
        kinds: the kinds of stage that it is called for; empty: all.
    """

    observes: bool = False
    kinds: tuple[str, ...] = ()

    def concerns(self, kind: str) -> bool:
        """Tell whether the hook is called for stages of `kind`."""
        return not self.kinds or kind in self.kinds


@overload
def hookimpl(function: _Function, /) -> _Function: ...


@overload
def hookimpl(
    *, observes: bool = False, kinds: Sequence[str] = (), **options: Any
) -> Callable[[_Function], _Function]: ...


def hookimpl(
    function: _Function | None = None, /, *, observes: bool = False, kinds: Sequence[str] = (), **options: Any
) -> Any:
    """Mark a function as a hook.

    Args:
        function: the function, when written as `@hookimpl` alone.
        observes: that it changes nothing of what a stage writes, for a hook around stages; adding, editing or
            removing it runs nothing again.
        kinds: for a hook around stages, the kinds of stage that it is called for; empty: all.
        options: pluggy's, such as `tryfirst`.
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _SCOPE, Scope(observes, tuple(kinds)))
        return _mark(function, **options)

    return mark if function is None else mark(function)


def scope_of(function: Callable[..., Any]) -> Scope:
    """Return what the hook `function` says of itself; one that pluggy's own marker marked concerns every stage."""
    found: Scope = getattr(function, _SCOPE, Scope())
    return found


def traits(**_said: Any) -> Callable[[_Function], _Function]:
    """Say of a function that the configuration names as `module:function` what a plugin would say when it registers it.

    `@traits(produces="tf_keras", **TENSORFLOW)` above a trainer of the project's own code. The traits are those of the
    component's kind, see `modelyard.hookspecs`. They are read from the text of the module, which is not imported until
    the stage runs: they must be literals, or unpack a name that is imported from modelyard or its plugins.
    """
    return lambda function: function
