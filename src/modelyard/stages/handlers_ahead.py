"""Whether the project's handlers fit a model, told before time is spent on its variants and not only where it is measured.

Nothing that handlers do shapes what these stages write, so that no key of theirs counts the handlers' code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from modelyard.stages.handlers import Around, open_chain
from modelyard.stages.handlers_fit import check_fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.artifacts import DatasetFacts, ModelFacts
    from modelyard.component import Use
    from modelyard.execution.job import Job
    from modelyard.serving.handlers import Chain


def check_ahead(job: Job, dataset: DatasetFacts, facts: ModelFacts) -> None:
    """Refuse a model whose file shows that the project's handlers do not fit it.

    Args:
        job: a stage that makes a model, or goes on from one.
        dataset: what the data set says of itself.
        facts: what is known of the model.

    Raises:
        PluginError: they do not fit.
    """
    uses = job.config.handlers
    if not uses or facts.signature is UNSET:
        return
    with job.unheard():
        chain = _opened(uses, facts)
    if chain is not None:
        check_fit(chain, facts, Around(uses, dataset).counted(facts))


def _opened(uses: Mapping[str, Use], facts: ModelFacts) -> Chain | None:
    """Return the handlers; None if one cannot be opened: its files or libraries may be missing on this stage's machine."""
    try:
        return open_chain(uses, facts)
    except Exception:
        return None  # the stage that runs it says why
