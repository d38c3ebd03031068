from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from modelyard.report.collect import Collected
from modelyard.report.facts import Report, StageFacts
from modelyard.report.material import Material, load_material
from modelyard.report.notes import notes
from modelyard.stage_settings import Lineage
from tests.report.conftest import Make, with_state


def told(made: Collected, not_shipped: str = "") -> list[str]:
    folders = {stage: Path(folder) for stage, folder in made.artifacts.items()}
    return list(notes(made, load_material(made, folders), not_shipped))


@pytest.mark.parametrize(
    ("how", "note"),
    [
        ({"built": ()}, "no variant is measured"),
        ({"built": ("dataset", "evaluate"), "failure": "no variant meets every gate"}, "no variant meets every gate"),
        ({"built": ("dataset", "evaluate")}, "nothing ships: select:project is missing"),
        ({"built": ("dataset", "train", "evaluate", "select")}, "there is no image"),
        ({"built": ("dataset",)}, "missing: train:net, evaluate:v0"),
    ],
)
def test_what_is_missing_is_a_note(
    measured: Callable[..., tuple[Report, Material]], how: dict[str, Any], note: str
) -> None:
    report, _ = measured(**how)
    assert any(note in one for one in report.notes), report.notes


def test_a_whole_build_has_no_notes(measured: Callable[..., tuple[Report, Material]]) -> None:
    assert measured()[0].notes == ()


def test_why_nothing_ships_comes_first_then_what_failed_each_in_one_line(make: Make) -> None:
    made = make(variants=2)
    for stage, why in (("evaluate:v1", "no memory\nmore"), ("select:project", "no variant\nmore")):
        made = with_state(made, stage, "stale", why)
    assert told(made, "select:project failed") == [
        "nothing ships: select:project failed",
        "evaluate:v1 failed: no memory",
    ]


def test_a_plan_that_selects_nothing_ships_nothing_without_a_word(make: Make) -> None:
    assert told(replace(make(variants=1), selection=""), "the plan has no stage that selects") == []


def test_of_many_stages_the_first_are_named_each_state_by_itself(make: Make) -> None:
    made = make(built=("dataset",), variants=6, image=False)
    made = with_state(with_state(made, "dataset:data", "maybe"), "train:net", "stale")
    assert told(made) == [
        "no variant is measured",
        "missing: evaluate:v0, evaluate:v1, evaluate:v2, evaluate:v3, evaluate:v4, evaluate:v5 and 2 more",
        "stale: train:net",
        "may be stale: dataset:data",
    ]


def test_six_stages_are_all_named(make: Make) -> None:
    made = make(built=("dataset", "train"), variants=5, image=False)
    stages = tuple(one for one in made.stages if one.stage != "image:project")
    assert told(replace(made, stages=stages))[1:] == [
        "missing: evaluate:v0, evaluate:v1, evaluate:v2, evaluate:v3, evaluate:v4, select:project"
    ]


def other_data(made: Collected, *names: str) -> Collected:
    places = {name: replace(one, data="f" * 64) if name in names else one for name, one in made.variants.items()}
    return replace(made, variants=places)


def without(made: Collected, stage: str) -> Collected:
    return replace(made, artifacts={name: one for name, one in made.artifacts.items() if name != stage})


def test_what_cannot_be_compared_is_told_baseline_by_baseline(make: Make) -> None:
    made = make(variants=5, lineages={"v3": Lineage("net", "v4"), "v4": Lineage("net", "v4")})
    assert told(other_data(made, "v1", "v2", "v3")) == [
        "measured on other data than the baseline 'v0', so no gate is checked: v1, v2",
        "measured on other data than the baseline 'v4', so no gate is checked: v3",
    ]
    assert told(without(made, "evaluate:v4")) == ["the baseline 'v4' is not measured, so no gate of v3 is checked"]


def test_a_baseline_that_is_not_measured_is_told_once_where_there_is_but_one(make: Make) -> None:
    assert told(without(make(variants=3), "evaluate:v0")) == [
        "the baseline 'v0' is not measured, so no gate is checked"
    ]


def test_the_facts_of_stages_alone_make_notes(make: Make) -> None:
    made = make(variants=1)
    assert {type(one) for one in made.stages} == {StageFacts}
    assert told(made) == []
