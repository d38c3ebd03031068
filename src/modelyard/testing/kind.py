"""The contract of kinds of stage, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from modelyard.config.overrides import inline_toml
from modelyard.project.load import load
from modelyard.testing.building import (
    HASH_SEEDS,
    bring_inputs,
    check_refusal,
    check_same,
    engine_of,
    one_at_a_time,
    run_watched,
)
from modelyard.testing.component import check_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from modelyard.component import Component


@one_at_a_time
def check_kind(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Path]:
    """Check the kind of stage `name` in `project`: the contract of `modelyard_register_kinds`, by building its stages.

    It is documented and light to load, plans at least one stage, writes each of its parts, the same bytes in another
    process, and changes nothing else in the project. What it refuses, it refuses in words.

    Args:
        name: the kind's name.
        project: a project; its own `[tool.modelyard.NAME]` does not count.
        params: the keys of that table.
        refuses: such keys that it must refuse, each a dict.

    Returns:
        The folder of each of its stages.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    component = load(project, _table(name, params)).plugins.get("kind", name, "check_kind")
    check_component(component, project)
    folders = _built_twice(component, project, params)
    for refused in refuses:
        check_refusal(component, refused, partial(_built_twice, component, project, refused))
    return folders


def _table(name: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: inline_toml(dict(params or {}))}


def _built_twice(component: Component, project: Path, params: Mapping[str, Any] | None) -> dict[str, Path]:
    """Build each stage of the kind in two workers, and return their folders."""
    built: list[dict[str, object]] = []
    for seed in HASH_SEEDS:
        with engine_of(project, _table(component.name, params), seed) as engine:
            stages = engine.plan.of_kind(component.name)
            assert stages, f"kind {component.name!r}: it plans no stage; `plan` yields context.stage(...)"
            built.append({})
            for stage in stages:
                bring_inputs(engine, stage)
                made = run_watched(engine, component, stage).outputs
                built[-1] |= {f"{stage.id}/{file}": one for file, one in made.items()}
    check_same(component, *built)
    folders = {stage.id: engine.workspace.folder(stage) for stage in stages}
    for name, folder in folders.items():
        missing = [part for part in component.parts.values() if not (folder / part).exists()]
        assert not missing, f"kind {component.name!r}: {name} did not write {missing[0]}, which it is registered with"
    return folders
