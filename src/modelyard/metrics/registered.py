"""What a plugin's metric measures, as the configuration calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
