"""The tasks of a model whose several outputs count: `[tool.modelyard.task.outputs.NAME]`, one table for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from modelyard.component import Parameter, check_values
from modelyard.errors import ConfigError
from modelyard.metrics.gating import gates_of
from modelyard.metrics.standard import STANDARD

if TYPE_CHECKING:
    from modelyard.component import Use
    from modelyard.toml.places import Where

OUTPUTS = "outputs"
_NAME = r"[a-z][a-z0-9_]{0,30}"
_COUNTS = "what the output's loss counts in the sum of all; 0: nothing is learnt for it."
_Weight = Annotated[float, Meta(ge=0, description="a number from 0", extra={"doc": _COUNTS})]
WEIGHT = Parameter("weight", _Weight, 1.0)
"""The key of an output's table that is not its task's."""


class OutputTask(msgspec.Struct, frozen=True):
    """What is learnt of one output, and what its loss counts in the sum of all."""

    use: Use
    weight: float


def are_several(table: Mapping[str, Any]) -> bool:
    """Tell whether the table `task` names outputs; a task may have a parameter of that name, but then it is named."""
    return OUTPUTS in table and "use" not in table


def output_tasks(
    table: Mapping[str, Any], where: Where, take: Callable[[Mapping[str, Any], Where], Use]
) -> dict[str, OutputTask]:
    """Return the tasks by the outputs' names, each with its weight.

    Args:
        table: what `[tool.modelyard.task]` holds.
        where: its place.
        take: returns the task that a table says.

    Raises:
        ConfigError: it holds something else beside, a name is not allowed, or two figures would be called the same.
    """
    place, outputs = where.at(OUTPUTS), table[OUTPUTS]
    if beside := [key for key in table if key != OUTPUTS]:
        msg = f"{where.at(beside[0])}: key {beside[0]!r}: {OUTPUTS!r} stands alone\n  say it of an output: [tool.modelyard.task.{OUTPUTS}.NAME]"
        raise ConfigError(msg)
    if not isinstance(outputs, dict) or not outputs:
        msg = f"{place}: {outputs!r} is not allowed\n  write a table for each output: [tool.modelyard.task.{OUTPUTS}.NAME] use = ..."
        raise ConfigError(msg)
    tasks = {name: _task(name, own, where, take) for name, own in outputs.items()}
    _check_names({name: one.use for name, one in tasks.items()}, place)
    return tasks


def _task(name: str, own: Any, where: Where, take: Callable[[Mapping[str, Any], Where], Use]) -> OutputTask:
    place = where.at(OUTPUTS, name)
    if not re.fullmatch(_NAME, name):
        msg = f"{place}: {name!r} is not allowed as the name of an output\n  allowed: a lower-case letter, then letters, digits and underscores, 31 at most; `outputs` of the trainer import says what the file calls it"
        raise ConfigError(msg)
    if not isinstance(own, dict):
        msg = f"{place}: {own!r} is not a table\n  write [tool.modelyard.task.{OUTPUTS}.{name}] use = ..."
        raise ConfigError(msg)
    said, rest = ({key: one for key, one in own.items() if (key == WEIGHT.name) is mine} for mine in (True, False))
    return OutputTask(take(rest, place), float(check_values({WEIGHT.name: WEIGHT}, said, place)[WEIGHT.name]))


def _check_names(tasks: Mapping[str, Use], place: Where) -> None:
    """Check that no two figures, and no two gates, are called the same."""
    from modelyard.metrics.several import task_of

    taken = {*gates_of(STANDARD), *(one.name for one in STANDARD)}
    for name, use in tasks.items():
        own = task_of({name: use.component}).metrics
        made = {*gates_of(own), *(one.name for one in own)}
        if taken & made:
            msg = f"{place.at(name)}: {name!r} makes names that there are already: {min(taken & made)}\n  call the output something else"
            raise ConfigError(msg)
        taken |= made
