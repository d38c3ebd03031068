"""Stage `train`: let the trainer train the project's model, and say what came of it."""

from __future__ import annotations

from typing import Any

from modelyard.artifacts import Dataset, ModelFacts, SampleShape
from modelyard.contexts import TrainContext
from modelyard.errors import PluginError
from modelyard.execution.job import Job
from modelyard.stage_settings import TrainSettings
from modelyard.stages.handlers_ahead import check_ahead
from modelyard.stages.model_facts import write_model_facts


def run(job: Job) -> None:
    """Train and write the model's file, `history.json` and `model.json`.

    Raises:
        PluginError: the trainer did not write the file of the format that it is registered for, or what the model, the
            trainer and the file say of the answers differs; or the handlers do not fit a model that is brought.
    """
    dataset = Dataset.open(job.inputs["dataset"])

    def build_model(input_shape: SampleShape, classes: Any) -> Any:
        if "model" not in job.stage.uses:
            trainer = job.stage.uses["trainer"].component
            msg = f"the trainer {trainer.name!r} ({trainer.file}) is registered with takes_model=False, but asks for a model"
            raise PluginError(msg)
        return job.call("model", input_shape, classes)

    facts = _facts(job, dataset)
    settings = job.stage.settings_as(TrainSettings)
    weights = settings.loss_weights
    context = job.context(TrainContext, dataset=dataset, build_model=build_model, facts=facts, loss_weights=weights)
    told = job.call("trainer", context)
    written = write_model_facts(job, "trainer", facts, told, said=settings.signature)
    if not job.stage.uses["trainer"].component.learns:  # a training is kept, and its model refused where it goes on
        check_ahead(job, dataset.facts, written)


def _facts(job: Job, dataset: Dataset) -> ModelFacts:
    """Return what is known of the model before it is trained."""
    model = job.stage.uses.get("model")
    facts = ModelFacts.of(dataset.facts, job.stage.uses["trainer"].produces)
    said = model.component.answers if model else ""
    return facts.answering(said) if said else facts
