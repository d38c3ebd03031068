from __future__ import annotations

from modelyard.metrics import Quantity
from modelyard.metrics.parts import of_part

HITS = Quantity(name="hits", better="higher", unit="fraction", worse="worse", ratio_gate="max_hits")


def test_a_part_has_a_name_and_gates_of_its_own() -> None:
    part = of_part(HITS, "boxes", "hits of boxes", " in boxes")
    assert (part.name, part.title, part.worse, part.ratio_gate) == ("boxes_hits", "hits of boxes", "worse in boxes", "")
    assert (part.better, part.unit) == (HITS.better, HITS.unit)


def test_what_says_nothing_of_worse_says_nothing_of_its_parts() -> None:
    plain = Quantity(name="hits", better="higher")
    assert of_part(plain, "boxes", "hits of boxes", " in boxes").worse == ""
