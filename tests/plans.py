"""Components that do nothing, and the configuration of a project that chains them: for tests of the plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from pluggy import PluginManager

from modelyard.component import Component, Source, Use
from modelyard.config.config import Config
from modelyard.config.tables import TABLES, TRAINED, USING, Gates, Settings
from modelyard.config.training import Training
from modelyard.contexts import StageContext
from modelyard.errors import PlanError
from modelyard.execution.job import Job
from modelyard.plan.planner import Plan
from modelyard.plugins.load import Plugins, load_plugins
from modelyard.toml.places import ConfigSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from modelyard.stage import Stage

SOURCE = Source("test", "project", Path("test.py"))


def nothing(context: object, *, amount: float = 0.5, note: str = "") -> None:
    """Do nothing."""


def component(kind: str, name: str, accepts: tuple[str, ...] = (), produces: str = "") -> Component:
    return Component(kind, name, nothing, SOURCE, accepts=accepts, produces=produces)


def use(found: Component, **params: object) -> Use:
    return Use(found, {"amount": 0.5, "note": "", **params})


PRUNE = component("optimizer", "prune", ("raw",), "raw")
PACK = component("optimizer", "pack", ("raw",), "packed")
UNPACK = component("optimizer", "unpack", ("packed",), "raw")
TRAINER = component("trainer", "trainer", produces="raw")
TASK = Component(
    "task",
    "sorting",
    nothing,
    SOURCE,
    loss="cross-entropy",
    metrics=({"name": "accuracy", "better": "higher", "unit": "fraction", "group": "class", "sampled": True},),
)
COMPONENTS = [
    component("dataset", "data"),
    TASK,
    component("model", "net", produces="raw"),
    TRAINER,
    component("runtime", "runner", accepts=("packed",)),
    component("builder", "box"),
    component("target", "cluster"),
    PRUNE,
    PACK,
    UNPACK,
]


def plugins_of(empty: Path) -> Plugins:
    """Return the hooks of the project in the folder `empty`, which has no plugins, and the components above."""
    loaded = load_plugins(empty)
    return Plugins(loaded.manager, {(c.kind, c.name): c for c in COMPONENTS}, sources=loaded.sources)


def config(variants: Mapping[str, tuple[Use, ...]], **changes: object) -> Config:
    known = {c.kind: c for c in COMPONENTS}
    uses = {table: Use(known[kind]) for table, kind in USING.items() if table not in TRAINED}
    trained = {table: Use(known[USING[table]]) for table in TRAINED}
    where = {table: ConfigSource().where(table) for table in TRAINED}
    only = Training(uses=trained, seed=3, variants=tuple(variants), where=where)
    values = {table: struct() for table, struct in TABLES.items()}
    gates = msgspec.structs.asdict(Gates())
    fields: dict[str, object] = {
        "project": Path("/project"),
        "name": "shop",
        "version": "1",
        "seed": 3,
        "threads": 2,
        "isa": None,
        "uses": uses,
        "trainings": {"": only},
        "settings": Settings(**{**values, "gates": gates}),  # type: ignore[arg-type]
        "variants": variants,
        "targets": {"staging": Use(known["target"])},
        "resources": {},
        **changes,
    }
    return Config(**fields)  # type: ignore[arg-type]


def several(variants: Mapping[str, tuple[Use, ...]], *names: str, **changes: object) -> Config:
    """Return the first of several pipelines that differ in nothing but their names."""
    first, *others = (config(variants, pipeline=name, name=name, project_name="shop", **changes) for name in names)
    return msgspec.structs.replace(first, others=tuple(others))


def job_of(stage: Stage, inputs: Mapping[str, Path], folder: Path) -> Job:
    """Return the job of a stage of a project without plugins and variants, which writes to `folder` and tells nobody."""
    base = StageContext(
        out=folder, project=folder, cache=folder, seed=0, progress=lambda *_, **__: None, log=lambda _: None
    )
    plugins = Plugins(PluginManager("modelyard"), {})
    return Job(stage, Plan(config({}), {}), plugins, inputs, base, folder / "log")


def training(found: Config, **uses: Use) -> Config:
    """Return a configuration whose only training has other components."""
    other = msgspec.structs.replace(found.training, uses={**found.training.uses, **uses})
    return msgspec.structs.replace(found, trainings={"": other})


def ids(plan: Plan, *kinds: str) -> list[str]:
    return [stage.id for stage in plan.stages.values() if not kinds or stage.kind in kinds]


def refused(message_of: Callable[[], object], kind: type[Exception] = PlanError) -> str:
    with pytest.raises(kind) as caught:
        message_of()
    return str(caught.value)


def assert_sorted(stages: dict[str, Stage]) -> None:
    place = {stage_id: number for number, stage_id in enumerate(stages)}
    for found in stages.values():
        assert all(place[i.stage] < place[found.id] for i in found.inputs)
