"""One variant in the table of all: its metrics, and what the gates say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from modelyard.metrics import Metric, metric_of

if TYPE_CHECKING:
    from modelyard.stage_settings import Lineage
    from modelyard.variants.evaluation import Measured
    from modelyard.variants.gates import Judgement


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One variant in the table.

    Attributes:
        variant: its name.
        metrics: what was measured of it, in the order of the columns.
        training: the training that it is made of; not there in a project with one.
        baseline: the variant that relative bounds compare it with: its own training's; not there in a project with one.
        compared_with: the variant that bounds on a drop in accuracy compare it with.
        trained_unlike: why that is not a baseline that was trained as long, where one was wanted; else empty.
        control: whether it is there for that comparison only: a baseline that was trained as long as other variants
            were. It ships only if the rule is its name.
        misses: each gate that it misses, with value and bound; it does not ship if there is one.
        undecided: each gate whose bound lies within the noise, and whether it passes; one that fails is missed, too.
        warnings: what the model optimizers of its chain warned of.
        dominated_by: the variants that are at least as good in everything and better in something; none: it is on
            the Pareto front.
    """

    variant: str
    metrics: tuple[Metric, ...]
    training: str | UnsetType = UNSET
    baseline: str | UnsetType = UNSET
    compared_with: str = ""
    trained_unlike: str = ""
    control: bool = False
    misses: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dominated_by: tuple[str, ...] = ()

    @property
    def quality(self) -> Metric:
        """What the task counts most."""
        return self.metrics[0]

    def metric(self, name: str) -> Metric:
        """Return the metric called `name`."""
        return metric_of(self.metrics, name)


def row_of(
    variant: str,
    measured: Measured,
    judgement: Judgement,
    *,
    compared_with: str = "",
    trained_unlike: str = "",
    control: bool = False,
    lineage: Lineage | None = None,
) -> Row:
    """Return the row of a variant, without what dominates it."""
    return Row(
        variant=variant,
        metrics=tuple(measured.metrics.values()),
        training=lineage.training if lineage else UNSET,
        baseline=lineage.baseline if lineage else UNSET,
        compared_with=compared_with,
        trained_unlike=trained_unlike,
        control=control,
        misses=judgement.misses,
        undecided=judgement.undecided,
        warnings=measured.evaluation.warnings,
    )
