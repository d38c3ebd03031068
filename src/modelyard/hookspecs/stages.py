"""Hooks for kinds of stage, and where stages run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits

if TYPE_CHECKING:
    import msgspec

    from modelyard.stage import Stage


class Stands(TypedDict):
    """What a kind of stage must say: the kind that it stands behind, and the function that plans its stages."""

    after: str
    plan: Callable[..., Iterable[Stage]]


class KindTraits(Stands, ComponentTraits, total=False):
    """Traits of a kind of stage. Its stages are planned where `[tool.modelyard.NAME]` is there, which holds its parameters.

    `after` names the kind behind which it stands, in the order of a build. `plan(context: PlanContext, **params)` yields
    its stages, each made by `context.stage(name, *inputs)`; it is called whenever the project is loaded, after the stages
    of modelyard's own and those of the kinds that stand before it are planned.

    `plan_only` names parameters that concern `plan` alone: the function and the action key do without them.

    `seeded` says that its stages draw random numbers: they get the project's seed. `host_bound` says that they compute, so
    that their output depends on the machine and on how many threads there are. `measures` says that they measure times or
    memory, and so write other bytes each time. `parts` names what a later stage may read alone, each with the file that
    stands for it: `{"scores.json": "scores.json"}`.

    `settings` is the struct of what `plan` says of a stage beside its inputs: it is checked when the project is loaded, and
    the function finds it in `context.settings`. Without it these are a mapping of what JSON can hold.
    """

    plan_only: Sequence[str]
    seeded: bool
    host_bound: bool
    measures: bool
    parts: Mapping[str, str]
    settings: type[msgspec.Struct]


class ExecutorTraits(ComponentTraits, total=False):
    """Traits of an executor: none but those that every component may have. `tools` are in no key: who runs a stage shapes nothing."""


class RegisterKind(Protocol):
    """Registers a kind of stage."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[KindTraits]) -> None: ...


@hookspec
def modelyard_register_kinds(register: RegisterKind) -> None:
    """Register kinds of stage: `function(context: KindContext, *, ...)` runs one stage and writes below `context.out`.

    What it reads of earlier stages is in `context.inputs`, a folder or file by role, as `plan` said.
    """


class RegisterExecutor(Protocol):
    """Registers an executor."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[ExecutorTraits]) -> None: ...


@hookspec
def modelyard_register_executors(register: RegisterExecutor) -> None:
    """Register executors: `function(context: ExecutorContext, *, ...) -> Executor` gives what runs stages on other machines."""
