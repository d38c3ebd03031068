"""What a component is told before anything runs, and what it answers: as simple as can be, and as what it is told to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.contexts.documented import documented, own_fields

from modelyard.component import Component, Source
from modelyard.config.checks import OWN, problems
from modelyard.contexts import CheckContext, Lack, PreflightContext, Problem
from modelyard.tensors import Loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST = CheckContext(name="shop", version="1", runtime="runner")


@pytest.mark.parametrize("struct", [Problem, CheckContext, Lack, PreflightContext])
def test_each_field_is_documented(struct: type[msgspec.Struct]) -> None:
    assert sorted(documented(struct)) == sorted(own_fields(struct))


def test_a_project_that_says_nothing_else_has_one_output_a_server_of_its_own_and_no_broker() -> None:
    assert (LEAST.brings_server, LEAST.base, LEAST.reads_settings, LEAST.takes_tokens) == (False, "", True, False)
    assert (LEAST.outputs, LEAST.losses, LEAST.models, LEAST.event_schemes) == ((), {}, (), {})
    assert msgspec.convert(LEAST.loss, Loss) == "cross-entropy"


def test_a_preflight_is_told_all_that_a_check_is(tmp_path: Path) -> None:
    check = CheckContext(name="shop", version="1", runtime="runner", outputs=("a", "b"), event_schemes={"nats": 4222})
    found = PreflightContext(**msgspec.structs.asdict(check), project=tmp_path, cache=tmp_path / "cache")
    assert isinstance(found, CheckContext)
    assert {name: getattr(found, name) for name in CheckContext.__struct_fields__} == msgspec.structs.asdict(check)
    assert (found.deploys, found.pushes) == (False, False), "a build alone does neither"


def test_what_one_component_is_told_no_other_can_change() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        LEAST.name = "other"  # type: ignore[misc]
    other = CheckContext(name="shop", version="1", runtime="runner")
    assert other == LEAST
    assert other.losses is not LEAST.losses


def test_a_problem_may_be_with_each_name_that_the_documentation_of_its_key_gives() -> None:
    def check(context: CheckContext, *, amount: int) -> Iterator[Problem]:
        yield Problem("amount", f"it is {amount}", "allowed: 0")
        yield from (Problem(name, "it does not fit", "take another") for name in ("use", *OWN))

    assert all(f"`{name}`" in (Problem.__doc__ or "") for name in ("use", *OWN))
    component = Component("target", "toy", check, Source("tests", "project", None), check=check)  # type: ignore[arg-type]
    assert [one.key for one in problems(component, {"amount": 3}, LEAST)] == ["amount", "use", *OWN]


def test_what_two_components_lack_is_one_thing() -> None:
    pip, engine = Lack("", install=("onnx",)), Lack("no Docker engine answers", "start one")
    told = dict.fromkeys([pip, engine, Lack("", install=("onnx",)), Lack("no Docker engine answers", "start one")])
    assert list(told) == [pip, engine]
    assert Lack("no Docker engine answers") != engine
