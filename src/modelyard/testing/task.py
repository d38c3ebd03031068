"""The contract of tasks, as a check that runs. Plugin authors import it from `modelyard.testing`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import Dataset
from modelyard.config.overrides import inline_toml
from modelyard.errors import PluginError
from modelyard.project.load import load
from modelyard.task import Answers, Task
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
from modelyard.testing.merging import check_merges
from modelyard.variants.evaluation import Evaluation, Measured, read_measured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from modelyard.component import Component

_SAMPLES = 64


@one_at_a_time
def check_task(
    name: str, *, project: Path, params: Mapping[str, Any] | None = None, refuses: Iterable[Mapping[str, Any]] = ()
) -> Evaluation:
    """Check the task `name` in `project`: the contract of `modelyard_register_tasks`, by measuring the first variant.

    It is documented and light to load, takes the project's data set, measures what it is registered with, the same in
    another process, and changes nothing else in the project. It finds a model's answers in agreement with themselves, and
    neither with others nor with what is no number; and an answer that is no number it refuses. What it refuses, it refuses
    in words. If it has an accumulator, what that finds in parts of the split, merged, is what it finds in the whole.

    Args:
        name: the task's name.
        project: a project whose data set and model are of such a task; its own `[tool.modelyard.task]` does not count.
        params: the task's parameters.
        refuses: parameters that it must refuse, each a dict.

    Returns:
        How the model of the first variant did.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ModelyardError: a stage failed.
    """
    use = load(project, _choice(name, params)).config.uses["task"]
    check_component(use.component, project)
    measured, answers = _measured_twice(use.component, project, params)
    task = use.component.function(**use.params)
    assert isinstance(task, Task), f"task {name!r}: {task!r:.80} is no modelyard.task.Task"
    _check_answers(name, task, measured.answers[:_SAMPLES])
    check_merges(name, task, answers)
    for refused in refuses:
        check_refusal(use.component, refused, partial(_measured_twice, use.component, project, refused))
    return measured.evaluation


def _choice(name: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    return {"task": inline_toml({"use": name, **(params or {})})}


def _measured_twice(component: Component, project: Path, params: Mapping[str, Any] | None) -> tuple[Measured, Answers]:
    """Check the data set and measure a variant, in two workers; return what was found, and in which answers."""
    outputs = []
    for seed in HASH_SEEDS:
        with engine_of(project, _choice(component.name, params), seed) as engine:
            found: dict[str, object] = {}
            for kind in ("dataset", "evaluate"):
                stage = engine.plan.of_kind(kind)[0]
                bring_inputs(engine, stage)
                found |= run_watched(engine, component, stage).outputs
            outputs.append({file: one for file, one in found.items() if file != "latency.json"})
    check_same(component, *outputs)
    measured = read_measured(engine.workspace.folder(stage))
    dataset = Dataset.open(engine.workspace.folder(engine.plan.of_kind("dataset")[0]))
    labels = dataset.y("test") if dataset.has_labels else None
    output = dataset.facts.measured or dataset.facts.outputs[0]
    return measured, Answers(measured.answers, labels, output, measured.answers)


def _check_answers(name: str, task: Task, stored: NDArray[np.generic]) -> None:
    import numpy as np

    answers = np.array(stored)
    task.check_answers(answers, 0)
    same = task.agreement(answers, answers)
    assert (same.differ, same.worst) == (0, 0), f"task {name!r}: answers do not agree with themselves: {same}"
    if answers.dtype.kind != "f":
        return
    other = task.agreement(answers + np.ones((), answers.dtype), answers)
    assert other.differ or other.worst > 0, f"task {name!r}: answers that are larger by 1 agree"
    broken = answers.copy()
    broken.flat[0] = np.nan
    apart = task.agreement(broken, answers)
    assert apart.differ or not apart.worst <= 1, f"task {name!r}: an answer that is no number agrees with one: {apart}"
    try:
        task.check_answers(broken, 0)
    except PluginError:
        return
    msg = f"task {name!r}: check_answers takes an answer that is no number; raise a PluginError that names the sample"
    raise AssertionError(msg)
