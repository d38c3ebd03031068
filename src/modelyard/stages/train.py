"""Stage `train`: let the trainer train the project's model, and say what came of it."""

from __future__ import annotations

from typing import Any

from modelyard.artifacts import Dataset, ModelFacts, format_file
from modelyard.contexts import TrainContext
from modelyard.errors import PluginError
from modelyard.job import Job
from modelyard.jsonfiles import write_json


def run(job: Job) -> None:
    """Train and write the model's file, `history.json` and `model.json`.

    Raises:
        PluginError: the trainer did not write the file of the format that it is registered for.
    """
    dataset = Dataset.open(job.inputs["dataset"])

    def build_model(input_shape: tuple[int, ...], classes: int) -> Any:
        return job.call("model", input_shape, classes)

    context = job.context(TrainContext, dataset=dataset, build_model=build_model)
    job.call("trainer", context)
    trainer = job.stage.uses["trainer"].component
    facts = ModelFacts(
        format=trainer.produces,
        file=format_file(trainer.produces),
        input_shape=dataset.facts.input_shape,
        input_dtype=dataset.facts.dtype,
        preprocessing=dataset.facts.preprocessing,
        class_names=dataset.facts.class_names,
        value_range=dataset.facts.value_range,
    )
    write_model_facts(job, facts, trainer.name)


def write_model_facts(job: Job, facts: ModelFacts, component: str) -> None:
    """Write `model.json` beside the file that a component wrote.

    Raises:
        PluginError: the component did not write that file, or left it empty.
    """
    path = job.base.out / facts.file
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        found = ", ".join(sorted(p.name for p in job.base.out.iterdir())) or "nothing"
        msg = f"{component!r} is registered with produces={facts.format!r} but did not write {facts.file!r}\n  it wrote: {found}"
        raise PluginError(msg)
    write_json(job.base.out / "model.json", facts)
