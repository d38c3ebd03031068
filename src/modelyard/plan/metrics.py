"""Whether the metrics that a project asks for can be measured of what it learns, where it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import PlanError, listing
from modelyard.metrics.registered import quantities_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelyard.component import Component
    from modelyard.config.config import Config
    from modelyard.plugins.load import Plugins


def check_metrics(config: Config, plugins: Plugins) -> None:
    """Check that each metric fits the task, and finds the runtime's server if it starts that.

    Raises:
        PlanError: one does not; the message names those that do.
    """
    task, runtime = config.uses["task"].component, config.uses["runtime"].component
    for name, use in config.metrics.items():
        where = config.source.where("metrics", name)
        if not _fits(use.component, task):
            msg = f"{where}: {_misfit(use.component, task, config.several)}\n  {_advice(task, plugins)}"
            raise PlanError(msg)
        if use.component.starts_server and runtime.server is None:
            msg = (
                f"{where}: the metric starts the server of the runtime {runtime.name!r}, which is in its image, not here\n"
                "  leave it out, or choose another runtime"
            )
            raise PlanError(msg)


def _fits(metric: Component, task: Component) -> bool:
    return not metric.losses or task.loss in metric.losses


def _misfit(metric: Component, task: Component, several: Collection[str]) -> str:
    known = " or ".join(filter(None, metric.losses))
    if several:
        return f"the metric {metric.name!r} measures one output with the loss {known}, but there are {len(several)}: {listing(several)}"
    has = f"that of {task.name!r} is {task.loss}" if task.loss else f"{task.name!r} has none"
    return f"the metric {metric.name!r} measures tasks with the loss {known}, but {has}"


def _advice(task: Component, plugins: Plugins) -> str:
    own = listing(one.name for one in quantities_of(task))
    fitting = listing(name for name, one in plugins.of_kind("metric").items() if _fits(one, task))
    return f"the task measures {own} by itself; metrics that fit: {fitting}"
