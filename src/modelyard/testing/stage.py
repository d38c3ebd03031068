"""The contract of what fills a stage alone, as checks that run: data sets, models, trainers, runtimes, image builders.

Plugin authors import them from `modelyard.testing`. Everything goes the way of a build: the real configuration, plan,
worker and runtime. What is broken is an `AssertionError` whose message says which promise, and what to do.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, ImageFacts, Model
from modelyard.asking import Samples, ask, count, rows_of
from modelyard.component import check_values
from modelyard.config.overrides import inline_toml
from modelyard.config.tables import USING
from modelyard.files.json import read_json
from modelyard.project.load import load
from modelyard.testing.building import (
    HASH_SEEDS,
    VARIANT,
    bring_inputs,
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
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from modelyard.build.engine import Engine
    from modelyard.component import Component, Use
    from modelyard.config.config import Config
    from modelyard.contexts import Predictor
    from modelyard.stage import Stage

_STAGES = {"dataset": "dataset", "model": "train", "trainer": "train", "builder": "image"}
"""The kind of stage in which a component of each kind is tried; a runtime is tried in `evaluate`."""
_SAMPLES = 16
_TOLERANCE = 1e-6
"""How far a sample's answer may differ between alone and in a batch: rounding in another order, in float32."""


def check_dataset(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Dataset:
    """Check the data set `name` in `project`: the contract of `modelyard_register_datasets`, by building.

    It is documented and light to load, writes the same bytes in another process, and changes nothing else in the
    project. What it refuses, it refuses in words.

    Args:
        name: the data set's name.
        project: a project; its own `[tool.modelyard.dataset]` does not count.
        params: the data set's parameters.
        refuses: parameters that it must refuse, each a dict.

    Returns:
        The data set that it wrote.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    return Dataset.open(_check("dataset", name, project, params, refuses))


def check_model(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Model:
    """Check the model `name` in `project`, by having the project's trainer train it on the project's data set.

    What is checked, and what may be given and is raised, is as in `check_dataset`. Returned is the trained model.
    """
    return Model.open(_check("model", name, project, params, refuses))


def check_trainer(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Model:
    """Check the trainer `name` in `project`, by training the project's model on the project's data set.

    What is checked, and what may be given and is raised, is as in `check_dataset`. Returned is the trained model.
    """
    return Model.open(_check("trainer", name, project, params, refuses))


def check_builder(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> ImageFacts:
    """Check the image builder `name` in `project`, by building the image of the project's selected model.

    What is checked, and what may be given and is raised, is as in `check_dataset`. Returned is what it says of its image.
    """
    return read_json(_check("builder", name, project, params, refuses) / "image.json", ImageFacts)


@one_at_a_time
def check_runtime(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Evaluation:
    """Check the runtime `name` in `project`: the contract of `modelyard_register_runtimes`.

    Besides what `check_dataset` says: from every format that it says it accepts, its predictor answers class
    probabilities, float32, one row a sample; and a sample's answer does not depend on the samples beside it, unless
    the model's facts say that it is to be run alone.

    Args:
        name: the runtime's name.
        project: a project whose trainer and model optimizers lead to a format that the runtime accepts.
        params: the runtime's parameters.
        refuses: parameters that it must refuse, each a dict.

    Returns:
        How the model did on the test split.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    loaded = load(project)
    component = loaded.plugins.get("runtime", name, "check_runtime")
    check_component(component, project)
    start = loaded.config.training.produces
    ways = [found for one in component.accepts if (found := way(loaded.plugins, start, (one,))) is not None]
    assert ways, (
        f"runtime {name!r}: no model optimizers of this project lead from {start!r} to {component.accepts}\n"
        "  name a project in which some do"
    )
    for steps in ways:
        variant = {"variants": inline_toml({VARIANT: steps})}
        evaluation = _check_runtime(component, project, params or {}, variant)
    for refused in refuses:
        check_refusal(component, refused, partial(_check_runtime, component, project, refused, variant))
    return evaluation


@one_at_a_time
def _check(
    kind: str, name: str, project: Path, params: Mapping[str, Any] | None, refuses: Iterable[Mapping[str, Any]]
) -> Path:
    """Check the component in the stage that is its own, and return that stage's folder."""
    chosen = _choice(kind, name, params or {})
    component = _use(load(project, chosen).config, kind).component
    check_component(component, project)
    folder = _built_twice(component, project, chosen)
    for refused in refuses:
        check_refusal(component, refused, partial(_built_twice, component, project, _choice(kind, name, refused)))
    return folder


def _choice(kind: str, name: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Return the override that chooses the component, whatever the project's own table says."""
    return {_table(kind): inline_toml({"use": name, **params})}


def _use(config: Config, kind: str) -> Use:
    return {**config.uses, **config.training.uses}[_table(kind)]


def _table(kind: str) -> str:
    return next(table for table, its in USING.items() if its == kind)


def _built_twice(component: Component, project: Path, overrides: Mapping[str, str]) -> Path:
    """Run the component's stage in two workers and return the stage's folder."""
    outputs = []
    for seed in HASH_SEEDS:
        with engine_of(project, overrides, seed) as engine:
            stage = _first(engine, _STAGES[component.kind])
            bring_inputs(engine, stage)
            outputs.append(run_watched(engine, component, stage).outputs)
    check_same(component, *outputs)
    return engine.workspace.folder(stage)


def _first(engine: Engine, kind: str) -> Stage:
    return next(iter(engine.plan.of_kind(kind)))


def _check_runtime(
    component: Component, project: Path, params: Mapping[str, Any], variant: Mapping[str, str]
) -> Evaluation:
    """Measure a model through the runtime in two workers, then ask its predictor here."""
    answers = []
    for seed in HASH_SEEDS:
        chosen = {**_choice("runtime", component.name, params), **variant}
        with engine_of(project, chosen, seed) as engine:
            stage = engine.plan.stages[f"evaluate:{VARIANT}"]
            bring_inputs(engine, stage)
            outputs = run_watched(engine, component, stage).outputs
            answers.append({name: one for name, one in outputs.items() if name != "latency.json"})
    check_same(component, *answers)
    inputs = {one.role: engine.workspace.folder(engine.plan.stages[one.stage]) for one in stage.inputs}
    model, dataset = Model.open(inputs["model"]), Dataset.open(inputs["dataset"])
    values = check_values(component.parameters, dict(params), f"runtime {component.name!r}")
    samples = rows_of(dataset.raw("test"), slice(_SAMPLES))
    _check_answers(component, component.function(model.folder, **values), model, samples)
    return read_measured(engine.workspace.folder(stage)).evaluation


def _check_answers(component: Component, predictor: Predictor, model: Model, samples: Samples) -> None:
    import numpy as np

    output, many = model.facts.answer.name, count(samples)
    one_by_one = [ask(predictor, rows_of(samples, slice(row, row + 1)), output) for row in range(many)]
    alone = np.concatenate(one_by_one)
    assert alone.dtype == np.float32, f"{component.name!r} answers {alone.dtype}, not float32"
    assert np.isfinite(alone).all(), f"{component.name!r} answers numbers that are not finite"
    if model.facts.at_once(many) < many:
        return
    worst = float(np.abs(ask(predictor, samples, output) - alone).max())
    assert worst <= _TOLERANCE, (
        f"{component.name!r}: a sample's answer alone and in a batch of {many} differ by {worst:.3g}\n"
        "  whoever writes such models must say so: ModelFacts.batch = 1"
    )
