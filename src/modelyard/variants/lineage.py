"""Where a variant comes from in a project with several trainings: its own one, and the baseline of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Lineage(msgspec.Struct, frozen=True):
    """The training of a variant.

    Attributes:
        training: the training's name.
        baseline: the variant of the same training that relative bounds and latency ratios compare with.
        over_seeds: what the variants have in common that differ in the seed of their training alone; empty: there are
            no others.
    """

    training: str
    baseline: str
    over_seeds: str = ""


def lineages_of(settings: Mapping[str, Any]) -> dict[str, Lineage]:
    """Return the lineage of each variant, as the settings of `select` have it; none in a project with one training."""
    return msgspec.convert(settings.get("lineages", {}), dict[str, Lineage])
