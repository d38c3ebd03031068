"""Hooks for what is measured of a variant, and what keeps one from being shipped: metrics and gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits

if TYPE_CHECKING:
    from modelyard.metrics import Better, Unit
    from modelyard.tensors import Loss


class Directed(TypedDict):
    """What measures must say which of two values is the better one: `better` is `higher` or `lower`."""

    better: Better


class MetricTraits(Directed, ComponentTraits, total=False):
    """Traits of a metric: what its values are, see `modelyard.metrics.Quantity`.

    `unit` is that of its values; `title` the head of its column. `steady=False` says that another run gives another value,
    as times and memory do: then it is compared by its interval, and is in no reproducible file. `starts_server=True` says
    that it starts the runtime's server (`modelyard.launch.local_server`), whose files are then in the key of what it measures.

    `losses` are those of the tasks whose answers it can measure (`modelyard.tensors.Loss`), "" among them if it measures tasks
    that name none; left out, it measures any. A project with another task is refused when it is loaded.
    """

    unit: Unit
    title: str
    steady: bool
    starts_server: bool
    losses: Sequence[Loss]


class GateTraits(ComponentTraits, total=False):
    """Traits of a gate: none but those that every component may have."""


class RegisterMetric(Protocol):
    """Registers a metric."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[MetricTraits]) -> None: ...


class RegisterGate(Protocol):
    """Registers a gate."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[GateTraits]) -> None: ...


@hookspec
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register metrics: `function(context: MetricContext, *, ...)` returns what it measured of one variant.

    A number; or a number and the ends of its 95 % interval, `(value, low, high)`, None where one is not known; or an array with a value for each test
    sample, whose mean is the metric; or a `modelyard.task.MetricAccumulator`, which is given the answers block by block
    and whose `result` is one of these. It is measured where the project has it in `[tool.modelyard.metrics]`.
    """


@hookspec
def modelyard_register_gates(register: RegisterGate) -> None:
    """Register gates: `function(context: GateContext, *, ...)` yields each reason why a variant must not ship, as a text.

    It judges what was measured, and is asked where the project has it in `[tool.modelyard.gates]`, as a table.
    """
