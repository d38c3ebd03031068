from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ForwardRef

import pytest
from tests.hookspecs.registering import refusal, register

from modelyard.component import KINDS
from modelyard.contexts import CheckContext, Problem
from modelyard.hookspecs import TRAITS
from modelyard.hookspecs.traits import ComponentTraits, Gives, Takes, Traits


def work(context: object, *, amount: int = 1) -> None:
    """Work."""


def task(*, amount: int = 1) -> None:
    """Work."""


def check(context: CheckContext, **params: Any) -> Iterator[Problem]:
    yield Problem("amount", "it is odd", "take another")


def scripts(**params: Any) -> list[str]:
    return ["fit.py"]


COMMON: dict[str, Any] = {
    "tools": ("numpy",),
    "needs": ("numpy", "scipy"),
    "environment": {"N": "1"},
    "reads_environment": ("SEED",),
    "preload": ("numpy",),
    "resources": ("gpu",),
    "deterministic": True,
    "check": check,
    "preflight": check,
    "scripts": scripts,
}


def needed(kind: str, folder: Path) -> dict[str, Any]:
    """Return what a component of a kind must say beside the common traits, in a form that fits."""
    package = folder / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    fitting = {
        "metrics": ({"name": "error", "better": "lower"},),
        "produces": "raw",
        "accepts": ("raw",),
        "better": "lower",
        "templates": (),
        "after": "select",
        "plan": work,
        "schemes": {"x": 1},
        "client": package,
        "package": package,
    }
    more = {"image": work} if kind == "runtime" else {}
    return {trait: fitting[trait] for trait in TRAITS[kind].__required_keys__} | more


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_of_any_kind_may_have_every_common_trait_and_keeps_it(kind: str, tmp_path: Path) -> None:
    assert COMMON.keys() == ComponentTraits.__annotations__.keys()
    found = register(kind, task if kind == "task" else work, **needed(kind, tmp_path), **COMMON)
    kept = {trait: getattr(found, trait) for trait in COMMON if trait not in ("check", "preflight")}
    assert kept == {trait: value for trait, value in COMMON.items() if trait in kept}
    assert found.check is not None
    assert [one.key for one in found.check(None, amount=1)] == ["amount"]


def test_what_a_component_needs_is_what_its_tools_are_unless_it_says_so() -> None:
    assert register("dataset", work, tools=["numpy"]).needed == ("numpy",)
    assert register("dataset", work, tools=["numpy"], needs=[]).needed == ()
    assert register("dataset", work, tools=["numpy"], needs=None).needed == ("numpy",)


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("tools", "numpy"),
        ("needs", "numpy"),
        ("environment", {"N": 1}),
        ("reads_environment", [1]),
        ("preload", "numpy"),
        ("resources", {"gpu": 1}),
        ("deterministic", 1),
        ("check", "yes"),
        ("preflight", 3),
        ("scripts", ("fit.py",)),
    ],
)
def test_a_value_that_is_none_is_refused_with_what_to_write(trait: str, value: Any) -> None:
    assert f"trait {trait!r} is {value!r}\n  write " in refusal("dataset", work, **{trait: value})


@pytest.mark.parametrize("traits", [Traits, ComponentTraits])
def test_the_documentation_says_what_each_is(traits: Any) -> None:
    told = re.findall(r"^        (\w+): ", traits.__doc__, re.MULTILINE)
    inherited = Traits.__annotations__.keys() if traits is ComponentTraits else set()
    assert told == [name for name in traits.__annotations__ if name not in inherited]


def test_what_models_are_given_or_taken_in_must_be_said() -> None:
    assert (Gives.__required_keys__, Takes.__required_keys__) == ({"produces"}, {"accepts"})
    assert ComponentTraits.__required_keys__ == frozenset()


def test_annotations_are_types_and_no_text_that_each_doit_compiles() -> None:
    every = [*ComponentTraits.__annotations__.values(), *TRAITS["runtime"].__annotations__.values()]
    assert not any(isinstance(one, ForwardRef | str) for one in every)
