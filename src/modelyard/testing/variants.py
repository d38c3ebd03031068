"""The contract of metrics and gates, as checks that run. Plugin authors import them from `modelyard.testing`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset, Model
from modelyard.config.overrides import inline_toml
from modelyard.contexts import MetricContext
from modelyard.errors import GateError
from modelyard.files.json import read_json
from modelyard.project.load import load
from modelyard.stages.own_metrics import METRIC_ROLE, is_accumulator
from modelyard.task import Answers
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
from modelyard.testing.merging import check_parts
from modelyard.variants.evaluation import read_measured
from modelyard.variants.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelyard.build.engine import Engine
    from modelyard.component import Component
    from modelyard.metrics import Metric
    from modelyard.stage import Stage
    from modelyard.variants.evaluation import Measured


@one_at_a_time
def check_metric(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Metric:
    """Check the metric `name` in `project`: the contract of `modelyard_register_metrics`, by measuring the first variant.

    It is documented and light to load, changes nothing else in the project, and gives the same in another process, unless
    it is registered with `steady=False`. If it gives an accumulator, what that finds in parts of the split, merged in any
    order, is what it finds in the whole. What it refuses, it refuses in words.

    Args:
        name: the metric's name.
        project: a project; its own `[tool.modelyard.metrics]` does not count.
        params: the metric's parameters.
        refuses: parameters that it must refuse, each a dict.

    Returns:
        What it measured.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    component = load(project, _metric(name, params)).config.metrics[name].component
    check_component(component, project)
    metric = _measured_twice(component, project, params)
    for refused in refuses:
        check_refusal(component, refused, partial(_measured_twice, component, project, refused))
    return metric


@one_at_a_time
def check_gate(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> dict[str, list[str]]:
    """Check the gate `name` in `project`: the contract of `modelyard_register_gates`, by selecting among the variants.

    What is checked, and what may be given and is raised, is as in `check_metric`.

    Returns:
        For each variant, why it must not ship: the reasons that the gate gave.
    """
    component = load(project, _gate(name, params)).config.gates[name].component
    check_component(component, project)
    reasons = _judged_twice(component, project, params)
    for refused in refuses:
        check_refusal(component, refused, partial(_judged_twice, component, project, refused))
    return reasons


def _metric(name: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    return {"metrics": inline_toml({name: dict(params or {})})}


def _gate(name: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    return {"gates": inline_toml({name: dict(params or {})})}


def _measured_twice(component: Component, project: Path, params: Mapping[str, Any] | None) -> Metric:
    outputs = []
    for seed in HASH_SEEDS:
        with engine_of(project, _metric(component.name, params), seed) as engine:
            stage = engine.plan.of_kind("evaluate")[0]
            bring_inputs(engine, stage)
            made = run_watched(engine, component, stage).outputs
            outputs.append({file: one for file, one in made.items() if file != "latency.json"})
    check_same(component, *outputs)
    measured = read_measured(engine.workspace.folder(stage))
    if component.steady:  # what changes from run to run is not found in answers
        _check_merging(component, engine, stage, measured)
    return measured.metrics[component.name.replace("-", "_")]


def _check_merging(component: Component, engine: Engine, stage: Stage, measured: Measured) -> None:
    """Check the accumulator that a metric gives, if it gives one."""
    inputs = {one.role: engine.workspace.folder(engine.plan.stages[one.stage]) for one in stage.inputs}
    model, dataset, runtime = Model.open(inputs["model"]), Dataset.open(inputs["dataset"]), stage.uses["runtime"]
    params = stage.uses[f"{METRIC_ROLE}{component.name}"].params
    with TemporaryDirectory() as out:
        context = MetricContext(
            out=Path(out),
            project=engine.plan.config_of(stage).project,
            cache=Path(out),
            seed=stage.seed or 0,
            progress=lambda *_, **__: None,
            log=lambda _: None,
            model=model,
            dataset=dataset,
            answers=measured.answers,
            open_model=lambda: runtime.component.function(model.folder, **runtime.params),
            runtime=runtime,
        )
        if is_accumulator(component.function(context, **params)):
            labels = dataset.y("test") if dataset.has_labels else None
            output = dataset.facts.measured or model.facts.outputs[0]
            answers = Answers(measured.answers, labels, output)
            check_parts(f"metric {component.name!r}", lambda: component.function(context, **params), answers, _plain)


def _plain(result: Any) -> Any:
    """Return what a metric measured as a number or a list of numbers."""
    return result.tolist() if hasattr(result, "tolist") else result


def _judged_twice(component: Component, project: Path, params: Mapping[str, Any] | None) -> dict[str, list[str]]:
    found = []
    for seed in HASH_SEEDS:
        with engine_of(project, _gate(component.name, params), seed) as engine:
            stage = engine.plan.of_kind("select")[0]
            bring_inputs(engine, stage)
            file = engine.workspace.folder(stage) / "selection.json"
            try:
                run_watched(engine, component, stage)
            except GateError:  # it rules out every variant
                file = engine.workspace.log(stage).with_suffix(".selection.json")
            rows = read_json(file, Selection).table
            head = f"{component.name}: "
            found.append({r.variant: [m.removeprefix(head) for m in r.misses if m.startswith(head)] for r in rows})
    first, second = found
    assert first == second, f"gate {component.name!r}: it judged {first}, and in another process {second}"
    return first
