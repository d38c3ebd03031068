"""The task of a stage: one, or one for each of several outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.plans import SOURCE, job_of

from modelyard.component import Component, Use
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.stage import Stage
from modelyard.stages.several import Several
from modelyard.stages.tasks import losses_of, open_task, task_component
from modelyard_plugins.tasks.classification import Classification
from modelyard_plugins.tasks.regression import Regression

QUALITY = {"name": "quality", "better": "higher"}


def component(name: str, given: Any, loss: Any) -> Component:
    return Component("task", name, lambda: given, SOURCE, loss=loss, metrics=(QUALITY,))


SORTING, HEIGHT = (
    component("sorting", Classification(), "cross-entropy"),
    component("height", Regression(), "squared-error"),
)


def job(folder: Path, **uses: Component) -> Job:
    roles = {role.replace("__", ":"): Use(one) for role, one in uses.items()}
    return job_of(Stage("dataset", "data", uses=roles), {}, folder)


def test_the_only_task_is_the_component_s(tmp_path: Path) -> None:
    one = job(tmp_path, dataset=component("data", None, ""), task=SORTING)
    assert isinstance(open_task(one), Classification)
    assert task_component(one) is SORTING
    assert losses_of(one) == {}


def test_several_outputs_have_a_task_each(tmp_path: Path) -> None:
    several = job(tmp_path, task__kind=SORTING, task__height=HEIGHT)
    task = open_task(several)
    assert isinstance(task, Several)
    assert {name: type(one) for name, one in task.tasks.items()} == {"kind": Classification, "height": Regression}
    assert losses_of(several) == {"kind": "cross-entropy", "height": "squared-error"}
    measured = [one["name"] if isinstance(one, dict) else one.name for one in task_component(several).metrics]
    assert measured == ["kind_quality", "height_quality"]


@pytest.mark.parametrize("given", [None, Classification, object()])
def test_what_is_no_task_is_refused_with_what_it_must_be(tmp_path: Path, given: Any) -> None:
    with pytest.raises(PluginError) as caught:
        open_task(job(tmp_path, task=component("odd", given, "")))
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"the task 'odd' ({SORTING.file}) returned {str(given)[:9]}")
    assert second == "  it returns an object of a class derived from modelyard.task.Task"
