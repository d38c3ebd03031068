"""What can go wrong through no fault of modelyard, one class per kind of mistake.

A message has two parts: what happened (lower case, where first, the value with `!r`, what is
allowed) and, on a second line, what to do next. The front end prints it without a traceback
unless `MODELYARD_DEBUG=1` is set.
"""

from __future__ import annotations

from collections.abc import Iterable


class ModelyardError(Exception):
    """A mistake that the person at the terminal can mend."""


class ConfigError(ModelyardError):
    """`[tool.modelyard]` or an override holds an unknown key or a value that is not allowed."""


class PluginError(ModelyardError):
    """A plugin cannot be loaded, clashes with another, or does not keep its contract."""


class PlanError(ModelyardError):
    """The stages do not fit together: formats, cycles, names."""


class DataError(ModelyardError):
    """A data set or another input file is missing, damaged or of the wrong shape."""


class StageFailed(ModelyardError):
    """A stage ran and did not reach its end."""


class GateError(ModelyardError):
    """No variant of the model meets every gate."""


class ToolError(ModelyardError):
    """A program or service that a stage needs (apt, an engine, a registry, kubectl) is missing or said no."""


class StoreError(ModelyardError):
    """The store or the project's records cannot be read or written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest of `known`, or an empty string."""
    import difflib  # nobody makes mistakes as a rule

    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def listing(names: Iterable[str]) -> str:
    """Return `names` sorted, joined by commas, or `(none)`."""
    return ", ".join(sorted(names)) or "(none)"
