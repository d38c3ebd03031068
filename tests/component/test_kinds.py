from __future__ import annotations

import inspect
import re

import pytest

from modelyard.component.kinds import KINDS, PLACES, called_with, kind_name
from modelyard.config.tables import Events
from modelyard.hookspecs import HOOKS, TRAITS
from modelyard.hookspecs.serving import SourceTraits
from modelyard.stage_settings import ServerEvents


def described(kind: str) -> str:
    """Return the parameters of `function` as the hook of a kind describes it, or else the traits of the kind."""
    texts = map(inspect.getdoc, (HOOKS[f"modelyard_register_{kind}s"], TRAITS[kind]))
    found = (re.search(r"`function\((.*?)\)", text or "") for text in texts)
    return next(one[1] for one in found if one)


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_is_called_with_as_many_arguments_as_its_hook_says(kind: str) -> None:
    names = [one for one in re.split(r", ", described(kind)) if one and not one.startswith(("*", "..."))]
    assert called_with(kind) == len(names)


def test_what_people_call_a_component_tells_an_optimizer_of_models_from_adam() -> None:
    assert (kind_name("optimizer"), kind_name("kind"), kind_name("trainer")) == (
        "model optimizer",
        "kind of stage",
        "trainer",
    )


def test_a_source_is_asked_about_what_a_project_and_a_server_say_of_a_broker() -> None:
    asked = re.search(r"`check` is given (.*?), too", inspect.getdoc(SourceTraits) or "")
    assert asked
    assert tuple(re.findall(r"`(\w+)`", asked[1])) == PLACES
    assert Events.__struct_fields__[: len(PLACES)] == ServerEvents.__struct_fields__[: len(PLACES)] == PLACES
