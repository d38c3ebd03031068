"""Stages of the kinds that plugins registered: the plugin's function does it all."""

from __future__ import annotations

from modelyard.contexts import KindContext
from modelyard.execution.job import Job


def run(job: Job) -> None:
    """Call the kind's function with what the stage reads, and where to write."""
    stage = job.stage
    job.call("kind", job.context(KindContext, name=stage.own_name, inputs=job.inputs, settings=stage.settings))
