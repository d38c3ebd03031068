"""What a component of any kind may be registered with; and what several kinds have in common.

Annotations are evaluated here at once, not kept as text: `TypedDict` compiles each text, in every `doit`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypedDict

from modelyard.contexts import Lack, Problem


class Traits(TypedDict, total=False):
    """The common traits, all of them optional, for every kind of component.

    Components that have theirs in common keep them in one place: `register(name, function, **TENSORFLOW)`.

    Attributes:
        tools: distributions whose versions shape the output; they enter the action key.
        needs: distributions that the function cannot run without; those of `tools` when it is left out.
        environment: environment variables to set before the worker starts.
        reads_environment: names of environment variables that the function reads; their values enter the action key.
        preload: modules to import before the stage starts, so that one import may serve several stages.
        resources: named resources that it uses, for instance `gpu`; `[tool.modelyard.resources]` says how many there are.
        deterministic: whether it gives the same bytes each time on an accelerator, too: it uses none, or lets
            deterministic kernels run only. Where it does not say so, what it makes on one is recorded as not reproducible.
    """

    tools: Sequence[str]
    needs: Sequence[str]
    environment: Mapping[str, str]
    reads_environment: Sequence[str]
    preload: Sequence[str]
    resources: Sequence[str]
    deterministic: bool


class ComponentTraits(Traits, total=False):
    """What a component of any kind may be registered with: the common traits, and two functions of its own.

    Attributes:
        check: `check(context: CheckContext, **params)` yields a `Problem` for each parameter whose value has the right
            type and cannot be right. It is called whenever the project is loaded: it reads no file and imports nothing
            heavy.
        preflight: `preflight(context: PreflightContext, **params)` yields a `Lack` for each thing that this machine lacks:
            a program, a service, a distribution that only some parameters need. It is called in the `doit` process before
            the first stage of a build runs, if the component's stage is among those that will, and by `modelyard doctor`:
            it is quick, changes nothing and imports nothing heavy.
        scripts: `scripts(**params)` yields the Python files of the project, relative to it, that the parameters name and the
            function runs. They count as the component's own code does: by meaning, with all that they import.
    """

    check: Callable[..., Iterable[Problem]] | None
    preflight: Callable[..., Iterable[Lack]] | None
    scripts: Callable[..., Iterable[str]] | None


class Gives(TypedDict):
    """What gives a model must say its format: `produces`."""

    produces: str


class Takes(TypedDict):
    """What takes a model must say the formats that it can read: `accepts`."""

    accepts: Sequence[str]
