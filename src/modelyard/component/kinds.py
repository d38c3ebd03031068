"""The kinds of component, and how those of each are called."""

from __future__ import annotations

KINDS = (
    "dataset",
    "task",
    "model",
    "trainer",
    "optimizer",
    "runtime",
    "handler",
    "source",
    "metric",
    "gate",
    "builder",
    "target",
    "kind",
    "executor",
)
"""The kinds of component, in the order of a build; a `kind` of stage that a plugin adds is one, too."""
_ARGUMENTS = {"model": 2, "task": 0}
"""What a component is called with beside its configuration, where that is not one argument."""


def called_with(kind: str) -> int:
    """Return how many arguments a component of `kind` is called with beside its configuration."""
    return _ARGUMENTS.get(kind, 1)


def kind_name(kind: str) -> str:
    """Return what people call a component of `kind`."""
    return {"optimizer": "model optimizer", "kind": "kind of stage"}.get(kind, kind)


PLACES = ("input", "output", "dead_letter", "group")
"""Where a broker has what, and how it calls those that share the work: a source is asked whether it allows them."""
