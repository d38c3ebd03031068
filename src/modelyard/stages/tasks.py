"""The task of a stage: what is learnt, as the component that the project names says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.errors import PluginError
from modelyard.metrics.several import task_of
from modelyard.stages.several import Several
from modelyard.task import Task

if TYPE_CHECKING:
    from modelyard.component import Component
    from modelyard.execution.job import Job
    from modelyard.tensors import Loss


_SEVERAL = "task:"


def open_task(job: Job) -> Task:
    """Return the stage's task; where several outputs count, all of them.

    Raises:
        PluginError: a component gave something else.
    """
    several = _several(job)
    return Several({name: _opened(job, f"{_SEVERAL}{name}") for name in several}) if several else _opened(job, "task")


def task_component(job: Job) -> Component:
    """Return what the stage's task is registered with."""
    several = _several(job)
    return task_of(several) if several else job.stage.uses["task"].component


def losses_of(job: Job) -> dict[str, Loss]:
    """Return what training makes small for each of several outputs; empty: there is one."""
    return {name: component.loss for name, component in _several(job).items()}


def _several(job: Job) -> dict[str, Component]:
    """Return the tasks of several outputs by the outputs' names; empty: there is one."""
    roles = (role for role in job.stage.uses if role.startswith(_SEVERAL))
    return {role.removeprefix(_SEVERAL): job.stage.uses[role].component for role in roles}


def _opened(job: Job, role: str) -> Task:
    task, component = job.call(role), job.stage.uses[role].component
    if not isinstance(task, Task):
        msg = (
            f"the task {component.name!r} ({component.file}) returned {task!r:.80}\n"
            "  it returns an object of a class derived from modelyard.task.Task"
        )
        raise PluginError(msg)
    return task
