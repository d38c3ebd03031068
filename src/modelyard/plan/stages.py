"""How a stage is made from the configuration, whoever plans it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modelyard.component import Use
from modelyard.config.config import Config
from modelyard.kinds import BUILT_IN, Kind
from modelyard.stage import Input, Stage


def new_stage(
    row: Kind,
    name: str,
    uses: Mapping[str, Use],
    settings: Mapping[str, Any],
    inputs: Sequence[Input],
    config: Config,
    seed: int | None = None,
) -> Stage:
    """Return a stage of a kind, with what the project says of seed, threads, instruction set and resources.

    Args:
        row: the kind.
        name: tells the stage from the others of its kind, of all pipelines.
        uses: the components that it runs, by role.
        settings: modelyard's own values for it.
        inputs: what it reads of earlier stages.
        config: the project's configuration.
        seed: its seed, for a kind that draws random numbers; None: the project's.
    """
    claimed = {row.name, *(name for use in uses.values() for name in use.component.resources)}
    return Stage(
        kind=row.name,
        name=name,
        uses=dict(uses),
        settings=dict(settings),
        inputs=tuple(inputs),
        seed=(config.seed if seed is None else seed) if row.seeded else None,
        resources=tuple(r for r in config.resources if r in claimed),
        threads=config.threads,
        isa=config.isa if row.host_bound else None,
        pipeline=config.pipeline,
        registered=None if row.name in BUILT_IN else row,
    )


def without(use: Use, names: Collection[str]) -> Use:
    """Return a component without the parameters `names`: in the stage they are at their defaults, and in no key."""
    return Use(use.component, {name: value for name, value in use.params.items() if name not in names})
