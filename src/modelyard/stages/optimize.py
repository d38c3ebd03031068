"""Stage `optimize`: one step of a variant. The parent model is always read from disk."""

from __future__ import annotations

import msgspec

from modelyard.artifacts import Dataset, Model, format_file
from modelyard.contexts import OptimizeContext
from modelyard.job import Job
from modelyard.stages.train import write_model_facts


def run(job: Job) -> None:
    """Run the model optimizer and write `model.json` beside the file that it wrote.

    Raises:
        PluginError: the optimizer did not write the file of the format that it is registered for.
    """
    model = Model.open(job.inputs["model"])
    context = job.context(OptimizeContext, model=model, dataset=Dataset.open(job.inputs["dataset"]))
    job.call("optimizer", context)
    optimizer = job.stage.uses["optimizer"].component
    facts = msgspec.structs.replace(model.facts, format=optimizer.produces, file=format_file(optimizer.produces))
    write_model_facts(job, facts, optimizer.name)
