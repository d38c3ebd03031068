"""Stage `optimize`: one step of a variant. The parent model is always read from disk."""

from __future__ import annotations

from modelyard.artifacts import Dataset, Model
from modelyard.contexts import OptimizeContext
from modelyard.execution.job import Job
from modelyard.stage import CLASSES_ROLE
from modelyard.stage_settings import OptimizeSettings
from modelyard.stages.handlers_ahead import check_ahead
from modelyard.stages.model_facts import write_model_facts


def run(job: Job) -> None:
    """Run the model optimizer and write `model.json` beside the file that it wrote.

    Raises:
        PluginError: the optimizer did not write the file of the format that it is registered for, returned something
            other than facts, or says of the answers what the file does not; or the handlers do not fit the model.
    """
    model, dataset = Model.open(job.inputs["model"]), Dataset.open(job.inputs["dataset"])
    check_ahead(job, dataset.facts, model.facts)
    if classes := job.stage.uses.get(CLASSES_ROLE):
        classes.component.bring()
    weights = job.stage.settings_as(OptimizeSettings).loss_weights
    context = job.context(OptimizeContext, model=model, dataset=dataset, loss_weights=weights)
    told = job.call("optimizer", context)
    write_model_facts(job, "optimizer", model.facts, told, warnings=tuple(context.warnings))
