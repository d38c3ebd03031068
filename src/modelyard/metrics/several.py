"""What is measured where several outputs of a model count: of each what its task measures, called `OUTPUT_METRIC`."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.component import Component, Source
from modelyard.metrics.parts import Of, of_part
from modelyard.metrics.registered import quantities_of


def of_output(one: Of, name: str) -> Of:
    """Return a quantity, or a metric, as that of the output `name`."""
    return of_part(one, name, f"{name} {one.head}", f" in {name}")


def task_of(components: Mapping[str, Component]) -> Component:
    """Return the task that the tasks of several outputs are together; no built-in trainer knows its loss.

    Args:
        components: the tasks by the outputs' names.
    """
    metrics = tuple(of_output(one, name) for name, task in components.items() for one in quantities_of(task))
    first = next(iter(components.values()))
    return Component(
        kind="task",
        name="+".join(components),
        function=first.function,
        source=Source("several", "built-in", first.source.file),
        metrics=metrics,
        deterministic=all(one.deterministic for one in components.values()),
    )
