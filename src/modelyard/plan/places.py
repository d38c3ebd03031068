"""Where a stage comes from: the line of the project's configuration, or of the plugin that made it. For messages alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from modelyard.config.config import Config
from modelyard.errors import PlanError
from modelyard.stage import Stage
from modelyard.toml.places import Where

_TABLES = {"optimize": "variants", "evaluate": "variants", "render": "targets"}
"""The table that asks for the stages of a kind, where it is not called as the kind is."""


def check_ids(stages: Iterable[Stage], config: Config) -> None:
    """Check that no two stages have one id.

    Raises:
        PlanError: two have; the message says where each of them comes from.
    """
    known: dict[str, Stage] = {}
    for stage in stages:
        if (other := known.setdefault(stage.id, stage)) is not stage:
            msg = (
                f"{place_of(stage, config)}: two stages are called {stage.id!r}; the other one: {place_of(other, config)}\n"
                "  give one of them another name"
            )
            raise PlanError(msg)


def place_of(stage: Stage, config: Config) -> str:
    """Return the file and line that `stage` comes from."""
    return f"plugin {stage.made_at}" if stage.made_at else str(_configured(stage, config))


def _configured(stage: Stage, config: Config) -> Where:
    table, name, config = _TABLES.get(stage.kind, stage.kind), stage.own_name, config.of(stage.pipeline)
    training = config.trainings.get(name)
    if table == "train" and training is not None and training.name:
        return training.where["train"]
    return config.where_variant(name) if table == "variants" else config.source.where(table).at(name)


def amended(stages: Iterable[Stage], planned: Iterable[Stage], place: str) -> Iterator[Stage]:
    """Yield `stages`; those that were not `planned` say that they were made at `place`, a plugin's `modelyard_amend_plan`."""
    before = {id(one) for one in planned}
    for stage in stages:
        if id(stage) in before or not isinstance(stage, Stage):
            before.discard(id(stage))  # what is there a second time was put there by the plugin
            yield stage
        else:
            yield replace(stage, made_at=place)


def line_of_caller(depth: int) -> str:
    """Return `FILE:LINE` of the call that is `depth` calls above the function that asks."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame and frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
