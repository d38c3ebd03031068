"""The task of a stage: what is learnt, as the component that the project names says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import PluginError
from modelyard.task import Task

if TYPE_CHECKING:
    from modelyard.execution.job import Job


def open_task(job: Job) -> Task:
    """Return the stage's task.

    Raises:
        PluginError: the component gave something else.
    """
    task, component = job.call("task"), job.stage.uses["task"].component
    if not isinstance(task, Task):
        msg = (
            f"the task {component.name!r} ({component.file}) returned {task!r:.80}\n"
            "  it returns an object of a class derived from modelyard.task.Task"
        )
        raise PluginError(msg)
    return task
