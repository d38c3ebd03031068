"""Hooks for what is learnt, and from what: data sets and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits

if TYPE_CHECKING:
    from modelyard.metrics import Quantity
    from modelyard.tensors import Loss


class Measures(TypedDict):
    """What is learnt must say how well it went: `metrics`, the one that counts most first."""

    metrics: Sequence[Quantity | Mapping[str, Any]]


class TaskTraits(Measures, ComponentTraits, total=False):
    """Traits of a task. `metrics` are those that it measures, each a `modelyard.metrics.Quantity` or a dict of its fields.

    The first is the task's own measure of quality: rules break ties by it, and the report plots it.

    `loss` is what training minimises: trainers say which they know (`cross-entropy`, `binary-cross-entropy`,
    `squared-error`, `absolute-error`); left out, no built-in trainer trains for this task.
    """

    loss: Loss


class Register(Protocol):
    """Registers a data set."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[ComponentTraits]) -> None: ...


class RegisterTask(Protocol):
    """Registers a task."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TaskTraits]) -> None: ...


@hookspec
def modelyard_register_datasets(register: Register) -> None:
    """Register data sets: `function(context: StageContext, *, ...) -> Splits | Streams`.

    The plugin returns arrays, or gives samples one by one; modelyard checks shapes, dtypes and label range and writes memory-mapped splits.
    """


@hookspec
def modelyard_register_tasks(register: RegisterTask) -> None:
    """Register tasks: `function(*, ...) -> modelyard.task.Task` says what is learnt, and how well a model does."""
