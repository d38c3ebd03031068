"""Whether the metrics that a project asks for can be measured of what it learns."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.plans import COMPONENTS, PACK, TASK, component, config, plugins_of, refused, use

from modelyard.component import Use
from modelyard.plan.metrics import check_metrics
from modelyard.plan.planner import build_plan
from modelyard.plugins.load import Plugins
from modelyard.tensors import Loss

ANY = component("metric", "speed")
OF_CLASSES = msgspec.structs.replace(component("metric", "f1"), losses=("cross-entropy",))
OF_NUMBERS = msgspec.structs.replace(component("metric", "error"), losses=("squared-error", ""))


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    loaded = plugins_of(tmp_path)
    every = [*COMPONENTS, ANY, OF_CLASSES, OF_NUMBERS]
    return Plugins(loaded.manager, {(c.kind, c.name): c for c in every}, sources=loaded.sources)


def check(plugins: Plugins, loss: Loss, several: dict[str, Use] | None = None) -> None:
    found = config({"a": ()}, metrics={"speed": Use(ANY), "mine": Use(OF_CLASSES)}, several=several or {})
    task = Use(msgspec.structs.replace(TASK, loss=loss))
    check_metrics(msgspec.structs.replace(found, uses={**found.uses, "task": task}), plugins)


def test_one_that_measures_such_answers_or_any_is_fine(plugins: Plugins) -> None:
    check(plugins, "cross-entropy")


@pytest.mark.parametrize(
    ("loss", "told"),
    [("squared-error", "that of 'sorting' is squared-error"), ("", "'sorting' has none")],
)
def test_one_that_the_task_cannot_give_is_refused_and_those_that_fit_are_named(
    plugins: Plugins, loss: Loss, told: str
) -> None:
    said = refused(lambda: check(plugins, loss))
    assert "[tool.modelyard.metrics.mine]: the metric 'f1' measures tasks with the loss cross-entropy, but " in said
    assert said.endswith(f"{told}\n  the task measures accuracy by itself; metrics that fit: error, speed")


def test_one_of_a_certain_loss_cannot_measure_several_outputs(plugins: Plugins) -> None:
    said = refused(lambda: check(plugins, "", {"kind": Use(TASK), "place": Use(TASK)}))
    assert "measures one output with the loss cross-entropy, but there are 2: kind, place\n" in said


def test_a_metric_that_starts_the_server_of_a_runtime_that_has_none_here_is_told(plugins: Plugins) -> None:
    metric = Use(msgspec.structs.replace(component("metric", "held"), starts_server=True))
    told = refused(lambda: build_plan(config({"a": (use(PACK),)}, metrics={"held": metric}), plugins))
    assert "[tool.modelyard.metrics.held]: the metric starts the server of the runtime 'runner', which is in" in told
    assert told.endswith("\n  leave it out, or choose another runtime")
