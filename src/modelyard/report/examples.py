"""Test samples that a variant and the baseline label differently: the ones that tell most, first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelyard.report.pictures import is_picture, sample_picture

if TYPE_CHECKING:
    from modelyard.report.facts import Report, VariantFacts
    from modelyard.report.material import Material

OF_SHIPPED, OF_OTHERS, OTHERS = 12, 6, 5
"""How many samples of the variant that ships are shown, how many of each other one, and of how many others."""
_BUDGET_BYTES = 600_000
"""Of all pictures together, as they stand in the page."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One test sample.

    Attributes:
        row: its number in the test split, from 0.
        label: its class.
        baseline: the class that the baseline takes it for, and the probability that it gives.
        variant: the class that the variant takes it for, and the probability that it gives.
        outcome: `broken`: only the baseline is right; `mended`: only the variant is; `both wrong`.
        picture: a data URI; empty if the samples are no pictures, or there is no room left for it.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """

    row: int
    label: str
    baseline: tuple[str, float]
    variant: tuple[str, float]
    outcome: str
    picture: str = ""
    width: int = 0
    height: int = 0


def examples(report: Report, material: Material) -> dict[str, list[Example]]:
    """Return the samples to show, by variant: of the one that ships, then of those that break most of them."""
    differing = [one for one in report.variants if one.against_baseline and one.against_baseline.differ]
    if material.dataset is None or report.dataset is None or not differing:
        return {}
    others = sorted((v for v in differing if v.name != report.shipped), key=_broken, reverse=True)[:OTHERS]
    chosen = [v for v in differing if v.name == report.shipped] + others
    room = _BUDGET_BYTES
    found: dict[str, list[Example]] = {}
    for variant in chosen:
        most = OF_SHIPPED if variant.name == report.shipped else OF_OTHERS
        found[variant.name] = []
        for one in _pick(report, material, variant.name, most):
            shown = _with_picture(material, one, room)
            room -= len(shown.picture)
            found[variant.name].append(shown)
    return found


def _broken(variant: VariantFacts) -> int:
    return variant.against_baseline.broken if variant.against_baseline else 0


def _pick(report: Report, material: Material, name: str, most: int) -> list[Example]:
    import numpy as np

    assert material.dataset is not None
    labels = np.asarray(material.dataset.y("test"))
    variant = next(one for one in report.variants if one.name == name)
    own, base = np.asarray(material.answers[name]), np.asarray(material.answers[variant.baseline])
    one, other = own.argmax(axis=1), base.argmax(axis=1)
    rows = np.flatnonzero(one != other)
    names = variant.class_names

    def weight(row: int) -> tuple[int, float, int]:
        """Broken ones first, then mended ones; among those, the surest answers."""
        rank = 0 if other[row] == labels[row] else 1 if one[row] == labels[row] else 2
        return rank, -float(own[row].max() + base[row].max()), row

    outcomes = ("broken", "mended", "both wrong")
    return [
        Example(
            row=row,
            label=names[labels[row]],
            baseline=(names[other[row]], float(base[row].max())),
            variant=(names[one[row]], float(own[row].max())),
            outcome=outcomes[weight(row)[0]],
        )
        for row in sorted(map(int, rows), key=weight)[:most]
    ]


def _with_picture(material: Material, one: Example, room: int) -> Example:
    assert material.dataset is not None
    facts = material.dataset.facts
    shape = [axis for axis in facts.inputs[0].shape if isinstance(axis, int)]
    if len(facts.inputs) > 1 or len(shape) < len(facts.input.shape) or not is_picture(shape):
        return one
    sample = material.dataset.x("test")[one.row]
    picture, width, height = sample_picture(sample, facts.value_range or (float(sample.min()), float(sample.max())))
    if len(picture) > room:
        return one
    return msgspec.structs.replace(one, picture=picture, width=width, height=height)
