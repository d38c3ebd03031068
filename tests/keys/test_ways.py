from __future__ import annotations

from typing import Any

import pytest
from tests.plans import component

from modelyard.component import Use
from modelyard.keys.ways import code_of, ways_of
from modelyard.stage import Stage

PARTS: dict[str, Any] = {
    "kind": "dataset",
    "seed": 0,
    "python": "3.11",
    "code stage": "11",
    "version numpy": "2",
    "setting normalize": "auto",
    "dataset": "csv",
    "dataset path": "22",
    "code dataset": "33",
    "before:1": "image-decode",
    "before:1 size": [2, 2],
    "code before:1": "44",
    "before:2": "mine:tidy",
    "code before:2": "55",
    "before:10": "mine:last",
}
STAGE = Stage(
    "dataset", "csv", uses={role: Use(component("handler", "x"), {}) for role in ("dataset", "before:1", "before:2")}
)


def changed(**parts: Any) -> set[str]:
    """Return the roles whose way is another when parts are."""
    known, other = ways_of(STAGE, PARTS), ways_of(STAGE, PARTS | parts)
    assert known.keys() == other.keys() == STAGE.uses.keys()
    return {role for role in known if known[role] != other[role]}


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("before:1 size", {"before:1"}),
        ("code before:1", {"before:1"}),
        ("before:2", {"before:2"}),
        ("dataset path", {"dataset"}),
        ("setting normalize", set()),
        ("seed", set()),
        ("version numpy", {*STAGE.uses}),
        ("python", {*STAGE.uses}),
        ("code stage", {*STAGE.uses}),
    ],
)
def test_a_way_is_another_where_what_decides_is_another(name: str, roles: set[str]) -> None:
    assert changed(**{name: "another"}) == roles


def test_the_same_handler_in_another_place_makes_the_same() -> None:
    first = {name: value for name, value in PARTS.items() if "before:2" not in name and "before:10" not in name}
    last = {name.replace("before:1", "before:2"): value for name, value in first.items()}
    assert ways_of(STAGE, first)["before:1"] == ways_of(STAGE, last)["before:2"]


@pytest.mark.parametrize(
    ("name", "counts"),
    [("code dataset", True), ("version numpy", True), ("dataset path", False), ("before:1 size", False)],
)
def test_the_code_of_the_first_component_is_without_its_parameters(name: str, counts: bool) -> None:
    assert (code_of(STAGE, PARTS) != code_of(STAGE, PARTS | {name: "another"})) == counts
    assert code_of(Stage("select", ""), PARTS) == ""
