"""What a cross-validation says of each variant: the mean of each metric over what the folds hold out, and its spread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelyard.metrics.sliced import over_fold
from modelyard.metrics.standard import SIZE
from modelyard.variants.evaluation import Measured, read_measured
from modelyard.variants.over_seeds import OverSeeds, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelyard.metrics import Metric

Folds = dict[str, dict[str, Path]]
"""For each variant the folders of what was measured of it, by fold."""
_ROLE = "fold"


def folds_in(inputs: Iterable[tuple[str, Path]]) -> Folds:
    """Return the folders by variant and fold, of inputs of a stage by their roles, `fold:NUMBER:VARIANT`."""
    found: Folds = {}
    for role, folder in inputs:
        kind, _, rest = role.partition(":")
        if kind == _ROLE:
            number, _, variant = rest.partition(":")
            found.setdefault(variant, {})[f"fold-{number}"] = folder
    return found


def cross_validated(folds: Folds) -> tuple[OverSeeds, ...]:
    """Return what each variant does on what the folds hold out, in the order of the variants.

    Two folds share most of what they train on, so that their values lie closer together than those of new samples would: the
    intervals of the means allow for that.

    Raises:
        DataError: a file is missing or damaged.

    Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003: the corrected resampled t.
    """
    return tuple(
        joined(variant, _measured(found), overlap=1 / (len(found) - 1))
        for variant, found in folds.items()
        if len(found) > 1
    )


def with_means(measured: Mapping[str, Measured], means: Sequence[OverSeeds]) -> dict[str, Measured]:
    """Return what was measured of each variant with its means over folds as metrics, if all variants have some."""
    metrics = {one.variant: [over_fold(metric) for metric in one.metrics] for one in means}
    if not measured.keys() <= metrics.keys():
        return dict(measured)
    return {name: _more(one, metrics[name]) for name, one in measured.items()}


def _more(measured: Measured, metrics: Sequence[Metric]) -> Measured:
    known = measured.evaluation.metrics
    at = next(number for number, one in enumerate(known) if one.name == SIZE.name)
    evaluation = msgspec.structs.replace(measured.evaluation, metrics=(*known[:at], *metrics, *known[at:]))
    return replace(measured, evaluation=evaluation)


def _measured(folders: Mapping[str, Path]) -> dict[str, tuple[Metric, ...]]:
    return {fold: tuple(read_measured(folder).metrics.values()) for fold, folder in folders.items()}
