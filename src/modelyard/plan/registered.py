"""The stages of kinds that plugins registered: each kind's `plan` says them, for projects that have its table."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from modelyard.component import Component
from modelyard.config.config import Config
from modelyard.contexts import PlanContext
from modelyard.errors import ModelyardError, PlanError, PluginError
from modelyard.kinds import Kind
from modelyard.plan.places import line_of_caller
from modelyard.plan.stages import new_stage, typed_settings, without
from modelyard.plugins.load import Plugins, line_of
from modelyard.stage import Input, Stage

_NAME = r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?"


def with_registered(stages: Sequence[Stage], config: Config, plugins: Plugins) -> list[Stage]:
    """Return modelyard's own stages and those of the kinds that the project has a table of, in the order of a build.

    Args:
        stages: modelyard's own, in the order of a build.
        config: the project's configuration.
        plugins: the project's plugins.

    Raises:
        PluginError: a kind's `plan` raised, or gave what is no stage of its kind.
    """
    planned = list(stages)
    order = {name: number for number, name in enumerate(plugins.kinds)}
    for kind in sorted(config.kinds, key=order.__getitem__):
        planned += _stages_of(plugins.kinds[kind], planned, config)
    return sorted(planned, key=lambda stage: order[stage.kind])


def _stages_of(row: Kind, planned: Sequence[Stage], config: Config) -> list[Stage]:
    use = config.kinds[row.name]
    known = {f"{stage.kind}:{stage.own_name}": stage for stage in planned}
    context = PlanContext(
        name=config.name,
        version=config.version,
        variants=config.measured,
        stages=MappingProxyType(known),
        make=functools.partial(_make, row, config),
    )
    made = [_checked(stage, row, use.component) for stage in _called(use.component, context, use.params)]
    return [_resolved(stage, known | {f"{one.kind}:{one.own_name}": one for one in made}) for stage in made]


def _resolved(stage: Stage, known: Mapping[str, Stage]) -> Stage:
    """Return a stage that reads what is called so in its own pipeline: a `plan` knows nothing of the names of others."""
    read = [replace(one, stage=known[one.stage].id) if one.stage in known else one for one in stage.inputs]
    return replace(stage, inputs=tuple(read))


def _called(component: Component, context: PlanContext, params: Mapping[str, Any]) -> Iterator[Any]:
    assert component.plan is not None
    try:
        yield from component.plan(context, **params)
    except ModelyardError as exc:
        msg = f"{_where(component)} {exc}"
        raise PluginError(msg) from exc
    except Exception as exc:
        place = f"{component.source.file}{line_of(exc, component.source.file)}"
        msg = f"plugin {place}: the plan of the kind of stage {component.name!r} raised {type(exc).__name__}: {exc}"
        raise PluginError(msg) from exc


def _make(row: Kind, config: Config, name: str, inputs: Sequence[Any], settings: Mapping[str, Any]) -> Stage:
    """Make a stage for `PlanContext.stage`, which has no look at what it is given."""
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        msg = (
            f"calls a stage {name!r}\n"
            "  allowed: 1 to 100 lower-case letters, digits, dots and dashes, with a letter or digit at both ends"
        )
        raise PluginError(msg)
    for one in inputs:
        if not isinstance(one, Input):
            msg = f'gives the stage {name!r} the input {one!r:.80}\n  write Input("model", "select:{config.name}", "model")'
            raise PluginError(msg)
    roles = [one.role for one in inputs]
    if len(set(roles)) < len(roles):
        msg = f"gives the stage {name!r} two inputs in one role: {', '.join(roles)}\n  give each a role of its own"
        raise PluginError(msg)
    try:
        msgspec.json.encode(settings)
    except TypeError as exc:
        msg = f"gives the stage {name!r} settings that JSON cannot hold: {exc}\n  use numbers, texts, lists and dicts"
        raise PluginError(msg) from exc
    try:
        typed = typed_settings(settings, row)
    except PlanError as exc:
        msg = f"gives the stage {name!r} settings that do not fit: {exc}"
        raise PluginError(msg) from None
    use = config.kinds[row.name]
    uses = {"kind": without(use, use.component.plan_only)}
    stage = new_stage(row, config.called(name), uses, typed, inputs, config)
    return replace(stage, made_at=line_of_caller(2))  # above `PlanContext.stage`


def _checked(stage: Any, row: Kind, component: Component) -> Stage:
    if isinstance(stage, Stage) and stage.kind == row.name:
        return stage
    msg = f"{_where(component)} gave {stage!r:.80}, which is no stage of its kind\n  yield context.stage(name, *inputs)"
    raise PluginError(msg)


def _where(component: Component) -> str:
    return f"plugin {component.source.file}: the plan of the kind of stage {component.name!r}"
