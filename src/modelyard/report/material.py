"""What the report's pictures are made of: the data set, what was measured, and the answers of every variant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from modelyard.artifacts import Dataset
from modelyard.files.npy import open_array
from modelyard.variants.cross_validated import cross_validated, with_means
from modelyard.variants.evaluation import ANSWERS, Measured, read_measured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.metrics import Quantity
    from modelyard.report.collect import Collected
    from modelyard.variants.over_seeds import OverSeeds


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What pictures are made of and `report.json` leaves out.

    Attributes:
        dataset: the data set; None if it is not built.
        data: the digest of the data set.
        measured: what was measured of each variant.
        measured_on: the digest of the data that each was measured on: another one if it is stale.
        means: what a cross-validation measured of variants, over its folds.
        answers: what each variant answers to the test samples, shape `(samples, ...)`.
    """

    dataset: Dataset | None
    data: str
    measured: dict[str, Measured]
    measured_on: dict[str, str]
    answers: dict[str, Any]
    means: tuple[OverSeeds, ...] = ()


def load_material(collected: Collected, folders: Mapping[str, Path]) -> Material:
    """Open what the artifacts hold; answers are memory-mapped.

    Raises:
        DataError: a file is damaged.
    """
    folder = folders.get(collected.dataset)
    measured, answers = {}, {}
    for name, places in collected.variants.items():
        place = Path(places.evaluation)
        if places.stage in folders:
            measured[name] = read_measured(place)
            answers[name] = open_array(place / ANSWERS, "run `doit evaluate` again")
    folds = {name: {fold: Path(one) for fold, one in found.items()} for name, found in collected.folds.items()}
    means = cross_validated(folds)
    return Material(
        dataset=Dataset.open(folder) if folder else None,
        data=next((one.digest for one in collected.stages if one.stage == collected.dataset), ""),
        measured=with_means(measured, means),
        measured_on={name: collected.variants[name].data for name in measured},
        answers=answers,
        means=means,
    )


def quantities_of(collected: Collected, material: Material) -> tuple[Quantity, ...]:
    """Return what is to be measured of every variant, and what an older evaluation measured beside."""
    known: dict[str, Quantity] = {one.name: one for one in collected.quantities}
    for measured in material.measured.values():
        known |= measured.metrics
    return tuple(known.values())


def comparable(material: Material, collected: Collected) -> dict[str, Measured]:
    """Return the variants that were measured on the same data as their baseline, which is measured, too; itself included."""
    on = material.measured_on
    return {name: one for name, one in material.measured.items() if on[name] == on.get(collected.baseline_of(name))}
