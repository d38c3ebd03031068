"""Stage `optimize`: one step of a variant. The parent model is always read from disk."""

from __future__ import annotations

import msgspec

from modelyard.artifacts import Dataset, Model, ModelFacts, format_file
from modelyard.contexts import OptimizeContext
from modelyard.errors import PluginError
from modelyard.job import Job
from modelyard.stages.train import write_model_facts


def run(job: Job) -> None:
    """Run the model optimizer and write `model.json` beside the file that it wrote.

    Raises:
        PluginError: the optimizer did not write the file of the format that it is registered for, or returned
            something other than facts.
    """
    model = Model.open(job.inputs["model"])
    context = job.context(OptimizeContext, model=model, dataset=Dataset.open(job.inputs["dataset"]))
    told = job.call("optimizer", context)
    optimizer = job.stage.uses["optimizer"].component
    if told is not None and not isinstance(told, ModelFacts):
        msg = (
            f"the model optimizer {optimizer.name!r} ({optimizer.file}) returned {told!r:.80}\n"
            "  it returns nothing, or ModelFacts where the new model takes or answers something else"
        )
        raise PluginError(msg)
    facts = msgspec.structs.replace(
        told or model.facts,
        format=optimizer.produces,
        file=format_file(optimizer.produces),
        warnings=tuple(dict.fromkeys((*model.facts.warnings, *context.warnings))),
    )
    write_model_facts(job, facts, optimizer.name)
