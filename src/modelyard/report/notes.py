"""What a reader of the report must know before anything else: what failed, is missing or is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.build.verdict import MAYBE, MISSING, STALE, STATUSES
from modelyard.report.material import comparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelyard.report.collect import Collected
    from modelyard.report.facts import StageFacts
    from modelyard.report.material import Material

_NAMED = 6
"""So many stages are named; of more, their number is told."""


def notes(collected: Collected, material: Material, not_shipped: str) -> Iterator[str]:
    """Yield the notes, why nothing ships before all others; none for a whole build."""
    if not_shipped and collected.selection:
        yield f"nothing ships: {not_shipped}"
    failed = [one for one in collected.stages if one.failure]
    others = [one for one in failed if one.stage != collected.selection]
    yield from (f"{one.stage} failed: {one.failure.splitlines()[0]}" for one in others)
    if not material.measured:
        yield "no variant is measured"
    yield from _incomparable(collected, material)
    if collected.image and collected.image not in collected.artifacts:
        yield "there is no image"
    yield from _states(collected.stages, {one.stage for one in failed})


def _incomparable(collected: Collected, material: Material) -> Iterator[str]:
    """Yield which variants no gate is checked of, baseline by baseline."""
    alike = comparable(material, collected)
    apart: dict[str, list[str]] = {}
    for name in material.measured:
        if name not in alike:
            apart.setdefault(collected.baseline_of(name), []).append(name)
    for baseline, found in apart.items():
        if baseline in material.measured:
            yield f"measured on other data than the baseline {baseline!r}, so no gate is checked: {', '.join(found)}"
        else:
            of = f" of {', '.join(found)}" if collected.select.lineages else ""
            yield f"the baseline {baseline!r} is not measured, so no gate{of} is checked"


def _states(stages: Sequence[StageFacts], told: set[str]) -> Iterator[str]:
    for state in (MISSING, STALE, MAYBE):
        found = [one.stage for one in stages if one.state == state and one.stage not in told]
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"{STATUSES[state]}: {', '.join(found[:_NAMED])}{more}"
