"""Hooks for what is shipped: image builders and deploy targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from modelyard.hookspecs.marker import hookspec
from modelyard.hookspecs.traits import ComponentTraits

if TYPE_CHECKING:
    from modelyard.contexts import Locked


class BuilderTraits(ComponentTraits, total=False):
    """Traits of an image builder; `templates` are the Jinja2 templates that it renders, they enter the action key.

    `lock(file: Path, **params)` is what `doit lock` calls: it writes down exactly what the image's base is made of today, to
    the file that the parameters name or else to `file`, and returns `Locked`. Without it there is nothing to lock.
    """

    templates: Sequence[str]
    lock: Callable[..., Locked] | None


class Renders(TypedDict):
    """What renders must name its templates, as paths below a `templates` folder; they enter the action key."""

    templates: Sequence[str]


class TargetTraits(Renders, ComponentTraits, total=False):
    """Traits of a deploy target; `deploy(context: DeployContext, **params)` applies what was rendered.

    Without it the target has no `deploy` task. `undeploy`, of the same form, takes away what was deployed.

    `deploy_only` names parameters that concern `deploy` and `undeploy` alone. The function, `preflight` and the action key
    do without them: a change of them renders nothing anew.
    """

    deploy: Callable[..., Any] | None
    undeploy: Callable[..., Any] | None
    deploy_only: Sequence[str]


class RegisterBuilder(Protocol):
    """Registers an image builder."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[BuilderTraits]) -> None: ...


class RegisterTarget(Protocol):
    """Registers a deploy target."""

    def __call__(self, name: str, function: Callable[..., Any], **traits: Unpack[TargetTraits]) -> None: ...


@hookspec
def modelyard_register_builders(register: RegisterBuilder) -> None:
    """Register image builders: `function(context: ImageContext, *, ...) -> ImageFacts`."""


@hookspec
def modelyard_register_targets(register: RegisterTarget) -> None:
    """Register deploy targets: `function(context: TargetContext, *, ...)` writes manifests with `context.write`."""
