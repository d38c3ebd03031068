"""What the metrics of plugins measure, and those of tasks, as the configuration calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from modelyard.metrics import Quantity, Unit

if TYPE_CHECKING:
    from modelyard.component import Component


def quantity_of(name: str, component: Component) -> Quantity:
    """Return what the metric `component` measures; gates call it `name` with underscores."""
    return Quantity(
        name=name.replace("-", "_"),
        better=component.better,
        unit=cast("Unit", component.unit),
        title=component.title,
        steady=component.steady,
    )


def quantities_of(task: Component) -> tuple[Quantity, ...]:
    """Return what the task `task` measures, the one that counts most first."""
    return tuple(_quantity(one) for one in task.metrics)


def unlike_quantities(value: Any) -> str:
    """Return what `value` should be to say what a task measures, or nothing if it is that."""
    wanted = "a tuple of one or more, for instance ({'name': 'error', 'better': 'lower'},)"
    if not isinstance(value, list | tuple) or not value:
        return wanted
    try:
        names = [_quantity(one).name for one in value]
    except (TypeError, msgspec.ValidationError) as exc:
        return f"{wanted}: {exc}"
    return "" if len(set(names)) == len(names) else "names that differ"


def _quantity(one: Quantity | Mapping[str, Any]) -> Quantity:
    if isinstance(one, Quantity):
        return one
    if unknown := [key for key in one if key not in Quantity.__struct_fields__]:
        msg = f"unknown key {unknown[0]!r}; allowed: {', '.join(Quantity.__struct_fields__)}"
        raise TypeError(msg)
    return msgspec.convert(one, Quantity)
