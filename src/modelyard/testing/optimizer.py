"""The contract of a model optimizer as checks that run. Plugin authors import them from `modelyard.testing`.

Everything goes the way of a build: the real configuration, plan, worker and runtime. What is broken is an
`AssertionError` whose message says which promise, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Model
from modelyard.config.overrides import inline_toml
from modelyard.project.load import Project, load
from modelyard.testing.building import (
    HASH_SEEDS,
    VARIANT,
    bring,
    check_refusal,
    check_same,
    engine_of,
    one_at_a_time,
    run_watched,
    way,
)
from modelyard.testing.component import check_component
from modelyard.variants.evaluation import Evaluation, read_measured

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from modelyard.build.engine import Engine
    from modelyard.component import Component
    from modelyard.stage import Stage
    from modelyard.store.record import Record

Step = str | Mapping[str, Any]
"""A step of a variant: a model optimizer's name, or `{"use": name, parameter: value}`."""


@dataclass(frozen=True)
class Checked:
    """What came of `check_optimizer`.

    Attributes:
        component: the model optimizer.
        model: the model that it wrote.
        metrics: what it put into `context.metrics`.
        evaluation: how the model does on the test split, once it is ready to run: accuracy, size, size after gzip.
    """

    component: Component
    model: Model
    metrics: Mapping[str, Any]
    evaluation: Evaluation


@one_at_a_time
def measure(project: Path, steps: Sequence[Step]) -> Evaluation:
    """Build the variant `steps` in `project` and return how it does on the test split.

    Raises:
        ModelyardError: the configuration does not allow it, or a stage failed.
    """
    with _engine(project, steps) as engine:
        bring(engine, _path(engine))
        return _evaluation(engine)


@one_at_a_time
def check_optimizer(
    name: str,
    *,
    project: Path,
    params: Mapping[str, Any] | None = None,
    refuses: Iterable[Mapping[str, Any]] = (),
) -> Checked:
    """Check the model optimizer `name` in `project`: the contract of `modelyard_register_optimizers`, by building.

    It is documented and light to load. From every format that it says it accepts it writes the format that it says
    it gives; the same bytes in another process; nothing else in the project changes, its parent model least of all.
    What it gives runs. What it refuses, it refuses in words.

    Args:
        name: the model optimizer's name.
        project: a project with a data set, a model and a trainer, for instance `modelyard.testing.small_project`.
        params: its parameters.
        refuses: parameters that it must refuse, each a dict.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    loaded = load(project)
    component = loaded.plugins.get("optimizer", name, "check_optimizer")
    check_component(component, project)
    chains = [chain for accepted in component.accepts if (chain := _chain(loaded, component, accepted, params or {}))]
    assert chains, (
        f"model optimizer {name!r}: no trainer and model optimizers of this project lead to {component.accepts} "
        f"and from {component.produces} to its runtime; name a project in which they do"
    )
    for chain in chains:
        checked = _check_chain(component, project, *chain)
    steps, after = chains[0]
    for refused in refuses:
        refusing: list[Step] = [*steps]
        refusing[-1 - after] = {"use": name, **refused}
        check_refusal(component, refusing[-1 - after], partial(_run, component, project, refusing, after))
    return checked


@dataclass(frozen=True)
class _Run:
    """One run of the model optimizer under test, and of what makes its model ready to run."""

    record: Record
    model: Model
    evaluation: Evaluation


def _check_chain(component: Component, project: Path, steps: list[Step], after: int) -> Checked:
    """Build `steps` twice, in two workers; the component stands before the last `after` steps."""
    first, second = (_run(component, project, steps, after, hash_seed=seed) for seed in HASH_SEEDS)
    check_same(component, first.record.outputs, second.record.outputs)
    return Checked(component, second.model, second.record.metrics, second.evaluation)


def _run(component: Component, project: Path, steps: list[Step], after: int, *, hash_seed: str = HASH_SEEDS[0]) -> _Run:
    with _engine(project, steps, hash_seed) as engine:
        path = _path(engine)
        before, subject, behind = path[: -2 - after], path[-2 - after], path[-1 - after :]
        bring(engine, before)
        record = run_watched(engine, component, subject, behind)
        bring(engine, behind)
        return _Run(record, Model.open(engine.workspace.folder(subject)), _evaluation(engine))


def _chain(
    project: Project, component: Component, accepted: str, params: Mapping[str, Any]
) -> tuple[list[Step], int] | None:
    """Return a variant with the component in it, handed a model of the format `accepted`, and the steps behind it."""
    config = project.config
    before = way(project.plugins, config.training.produces, (accepted,), component)
    after = way(project.plugins, component.produces, config.uses["runtime"].component.accepts, component)
    if before is None or after is None:
        return None
    return [*before, {"use": component.name, **params}, *after], len(after)


def _engine(project: Path, steps: Sequence[Step], hash_seed: str = "random") -> AbstractContextManager[Engine]:
    """Give an engine for `project` with one more variant."""
    return engine_of(project, {f"variants.{VARIANT}": inline_toml(list(steps))}, hash_seed)


def _path(engine: Engine) -> list[Stage]:
    """Return the stages that measure the variant, in order: data set, training, each step, evaluation."""
    stages = engine.plan.stages
    path = [stages[f"evaluate:{VARIANT}"]]
    while (model := next((i.stage for i in path[0].inputs if i.role == "model"), None)) is not None:
        path.insert(0, stages[model])
    return [stages[path[0].inputs[0].stage], *path]


def _evaluation(engine: Engine) -> Evaluation:
    return read_measured(engine.workspace.folder(engine.plan.stages[f"evaluate:{VARIANT}"])).evaluation
