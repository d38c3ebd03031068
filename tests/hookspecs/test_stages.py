from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.hookspecs.registering import refusal, register, traits_of, untold

from modelyard.hookspecs.stages import ExecutorTraits, KindTraits, Stands
from modelyard.plugins.kinds import kinds_of


class About(msgspec.Struct):
    text: str


def notify(context: object, *, to: str = "ops", variants: str = "") -> None:
    """Write a message."""


def plan(context: object, **params: Any) -> list[Any]:
    """Plan nothing."""
    return []


def farm(context: object, *, nodes: int = 2) -> None:
    """Run stages elsewhere."""


def test_a_kind_of_stage_is_a_row_of_the_table_with_what_it_said() -> None:
    assert traits_of("kind") is KindTraits
    assert untold(KindTraits, Stands) == set()
    said: dict[str, Any] = {
        "plan_only": ["variants"],
        "seeded": True,
        "host_bound": True,
        "measures": True,
        "parts": {"scores.json": "scores.json"},
        "settings": About,
    }
    found = register("kind", notify, after="select", plan=plan, **said)
    row = kinds_of([found])["one"]
    assert (row.seeded, row.host_bound, row.measures, row.settings) == (True, True, True, About)
    assert row.parts == said["parts"]
    assert (found.plan_only, found.after) == (("variants",), "select")


def test_without_more_said_a_kind_draws_computes_and_measures_nothing() -> None:
    row = kinds_of([register("kind", notify, after="train", plan=plan)])["one"]
    assert (row.seeded, row.host_bound, row.measures, row.settings, dict(row.parts)) == (False, False, False, None, {})
    assert row.title == "Write a message"


def test_an_executor_has_the_common_traits_alone() -> None:
    assert traits_of("executor") is ExecutorTraits
    assert [*register("executor", farm, needs=("requests",)).parameters] == ["nodes"]
    assert "unknown trait 'seeded'" in refusal("executor", farm, seeded=True)


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"plan": plan}, "trait 'after' is missing"),
        ({"after": "select"}, "trait 'plan' is missing"),
        ({"after": 3, "plan": plan}, "trait 'after' is 3\n  write the name of a kind of stage"),
        ({"after": "select", "plan": []}, "trait 'plan' is []\n  write a function"),
        ({"after": "select", "plan": plan, "settings": dict}, "write a subclass of msgspec.Struct"),
        ({"after": "select", "plan": plan, "parts": {"a": 1}}, "trait 'parts' is {'a': 1}\n  write a dict of strings"),
        (
            {"after": "select", "plan": plan, "plan_only": ("variant",)},
            "trait 'plan_only' names 'variant', did you mean 'variants'?",
        ),
    ],
)
def test_a_kind_that_cannot_be_planned_is_refused(traits: dict[str, Any], said: str) -> None:
    assert said in refusal("kind", notify, **traits)
