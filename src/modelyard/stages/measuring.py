"""A task that measures what it is registered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import PluginError
from modelyard.metrics.registered import quantities_of
from modelyard.task import Answers, Scores

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.task import Task


class Measuring:
    """A task, and what it is registered with: that it measures."""

    def __init__(self, task: Task, component: Component) -> None:
        self.task, self.component = task, component

    def scores(self, answers: Answers) -> Scores:
        """Return what the task measures.

        Raises:
            PluginError: it is not what it is registered with.
        """
        scores = self.task.measure(answers)
        names = [one.metric.name for one in scores.scores] if isinstance(scores, Scores) else repr(scores)[:80]
        wanted = [one.name for one in quantities_of(self.component)]
        if names != wanted:
            msg = (
                f"the task {self.component.name!r} ({self.component.file}) measured {names}\n"
                f"  it is registered with metrics: {wanted}; `measure` returns Scores with these, in this order"
            )
            raise PluginError(msg)
        return scores
