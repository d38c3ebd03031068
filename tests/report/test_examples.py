from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from modelyard.report import examples as module
from modelyard.report.examples import OF_OTHERS, OF_SHIPPED, OTHERS, examples
from modelyard.report.facts import Report
from modelyard.report.material import Material
from modelyard.report.measure import measure
from tests.report.conftest import Make
from tests.shared import there

Measuring = Callable[..., tuple[Report, Material]]


def test_samples_are_those_that_the_two_label_differently_the_broken_ones_first(measured: Measuring) -> None:
    report, material = measured(samples=60, variants=2, class_names=("cat", "dog"))
    found = examples(report, material)["v1"]
    # v0 errs at the multiples of 7, v1 at those of 8; the label is the number's parity
    assert [(one.outcome, one.row) for one in found] == [
        *(("broken", row) for row in (8, 16, 24, 32, 40, 48)),
        *(("mended", row) for row in (7, 14, 21, 28, 35, 42)),
    ]
    assert [(one.label, one.baseline[0], one.variant[0]) for one in (found[0], found[6])] == [
        ("cat", "cat", "dog"),
        ("dog", "cat", "dog"),
    ]
    assert found[0].variant[1] == pytest.approx(0.8)
    assert {(one.width, one.height) for one in found} == {(8, 8)}
    assert all(one.picture.startswith("data:image/png;base64,") for one in found)


def test_the_surest_answers_come_first_and_two_mistakes_may_be_different_ones(measured: Measuring) -> None:
    report, material = measured(samples=12, variants=2, class_names=("cat", "dog", "owl"))
    own, base = (material.answers[name].copy() for name in ("v1", "v0"))
    base[:], own[:] = [0.9, 0.1, 0.0], [0.9, 0.1, 0.0]
    base[3] = [0.5, 0.3, 0.2]
    own[3], own[6], own[2] = [0.0, 0.6, 0.4], [0.0, 0.7, 0.3], [0.4, 0.6, 0.0]  # of cat, cat, owl
    again = msgspec.structs.replace(material, answers={"v0": base, "v1": own})
    found = examples(report, again)["v1"]
    assert [(one.row, one.outcome) for one in found] == [(6, "broken"), (3, "broken"), (2, "both wrong")]
    assert (found[2].label, found[2].baseline[0], found[2].variant[0]) == ("owl", "cat", "dog")


def test_more_are_shown_of_what_ships_than_of_the_others_of_which_the_worst_are_shown(measured: Measuring) -> None:
    report, material = measured(samples=200, variants=8, shape=(2, 2, 1), shipped="v2")
    found = examples(report, material)
    assert next(iter(found)) == "v2"
    assert len(found) == 1 + OTHERS
    assert [len(one) for one in found.values()] == [OF_SHIPPED, *[OF_OTHERS] * OTHERS]
    broken = [there(there(report.variant(name)).against_baseline).broken for name in list(found)[1:]]
    others = [there(one.against_baseline).broken for one in report.variants if one.name not in ("v0", *found)]
    assert broken == sorted(broken, reverse=True)
    assert max(others) <= min(broken)


def test_pictures_end_where_there_is_no_room_and_the_samples_are_told_all_the_same(
    measured: Measuring, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, material = measured(samples=60, variants=2)
    sizes = [len(one.picture) for one in examples(report, material)["v1"]]
    monkeypatch.setattr(module, "_BUDGET_BYTES", sum(sizes[:3]))
    pictures = [bool(one.picture) for one in examples(report, material)["v1"]]
    assert pictures[:3] == [True] * 3
    assert pictures.count(True) == 3
    assert len(pictures) == len(sizes)


def test_samples_that_are_no_pictures_are_told_without(measured: Measuring) -> None:
    found = examples(*measured(samples=60, variants=2, shape=(5,)))["v1"]
    assert {(one.picture, one.width, one.height) for one in found} == {("", 0, 0)}


@pytest.mark.parametrize("how", [{"variants": 1, "shipped": "v0"}, {"built": ("evaluate",)}, {"built": ()}])
def test_without_two_variants_and_the_data_there_are_none(measured: Measuring, how: dict[str, object]) -> None:
    assert examples(*measured(**how)) == {}


def test_nothing_is_shown_of_samples_that_are_no_longer_there(make: Make) -> None:
    made = make()
    stages = [msgspec.structs.replace(s, digest="f" * 64) if s.stage == made.dataset else s for s in made.stages]
    report, material = measure(msgspec.structs.replace(made, stages=tuple(stages)))
    assert [one.against_baseline for one in report.variants] == [None] * 4
    assert examples(report, material) == {}
    assert there(report.variant("v1")).compared_with == "v0"  # the two were measured on the same
