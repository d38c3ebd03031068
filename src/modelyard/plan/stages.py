"""How a stage is made from the configuration, whoever plans it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.errors import PlanError, did_you_mean, listing
from modelyard.kinds import BUILT_IN, Kind
from modelyard.stage import Input, Stage
from modelyard.stage_settings import by_name


def new_stage(
    row: Kind,
    name: str,
    uses: Mapping[str, Use],
    settings: msgspec.Struct | Mapping[str, Any],
    inputs: Sequence[Input],
    config: Config,
    seed: int | None = None,
) -> Stage:
    """Return a stage of a kind, with what the project says of seed, threads, instruction set and resources.

    Args:
        row: the kind.
        name: tells the stage from the others of its kind, of all pipelines.
        uses: the components that it runs, by role.
        settings: what the kind's row names, or a mapping if it names nothing.
        inputs: what it reads of earlier stages.
        config: the project's configuration.
        seed: its seed, for a kind that draws random numbers; None: the project's.
    """
    claimed = {row.name, *(name for use in uses.values() for name in use.component.resources)}
    return Stage(
        kind=row.name,
        name=name,
        uses=dict(uses),
        settings=settings,
        inputs=tuple(inputs),
        seed=(config.seed if seed is None else seed) if row.seeded else None,
        resources=tuple(r for r in config.resources if r in claimed),
        threads=config.threads,
        isa=config.isa if row.host_bound else None,
        pipeline=config.pipeline,
        registered=None if row.name in BUILT_IN else row,
    )


def with_typed_settings(stage: Stage) -> Stage:
    """Return a stage whose settings are what its kind's row names: a plugin that made it may have given a mapping.

    Raises:
        PlanError: they do not fit.
    """
    wanted = stage.row.settings
    if wanted is None or isinstance(stage.settings, wanted):
        return stage
    try:
        return msgspec.structs.replace(stage, settings=typed_settings(by_name(stage.settings), stage.row))
    except PlanError as exc:
        where = f"{stage.made_at}: " if stage.made_at else ""
        msg = f"{where}the settings of the stage {stage.id!r} do not fit: {exc}"
        raise PlanError(msg) from None


def typed_settings(settings: Mapping[str, Any], row: Kind) -> msgspec.Struct | Mapping[str, Any]:
    """Return settings by name as the struct that the kind `row` names, or as they are if it names none.

    Raises:
        PlanError: they do not fit; a name that the struct has not is refused, whatever the struct thinks of that.
    """
    if row.settings is None:
        return settings
    known = row.settings.__struct_encode_fields__
    wrong = next((f"it has no {name!r}{did_you_mean(name, known)}" for name in settings if name not in known), "")
    try:
        if not wrong:
            return msgspec.convert(settings, row.settings)
    except msgspec.ValidationError as exc:
        wrong = str(exc)
    msg = f"{wrong}\n  settings of the kind {row.name!r}: {listing(known)}"
    raise PlanError(msg)


def without(use: Use, names: Collection[str]) -> Use:
    """Return a component without the parameters `names`: in the stage they are at their defaults, and in no key."""
    return Use(use.component, {name: value for name, value in use.params.items() if name not in names})
