"""The kinds of stage that plugins register: where they stand, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.component import Component, Source
from modelyard.errors import PluginError
from modelyard.kinds import BUILT_IN
from modelyard.plugins.kinds import kinds_of
from modelyard.plugins.load import load_plugins

SOURCE = Source("test", "project", Path("test.py"))


def nothing(context: object) -> None:
    """Do nothing."""


def kind(name: str, after: str, **traits: object) -> Component:
    return Component("kind", name, nothing, SOURCE, after=after, **traits)  # type: ignore[arg-type]


def test_without_plugins_the_table_is_modelyard_s_own(tmp_path: Path) -> None:
    assert kinds_of([]) is BUILT_IN
    assert load_plugins(tmp_path).kinds is BUILT_IN


def test_kinds_stand_behind_the_one_that_they_name_in_the_order_of_registration() -> None:
    found = list(kinds_of([kind("c", "b"), kind("a", "select"), kind("b", "select"), kind("z", "render")]))
    assert found == [
        *("dataset", "train", "optimize", "evaluate", "select", "a", "b", "c", "image", "check", "render", "z")
    ]


@given(st.permutations(["a", "b", "c", "d"]), st.lists(st.sampled_from(["", *BUILT_IN]), min_size=4, max_size=4))
def test_the_order_of_modelyard_s_own_stands_whatever_stands_between(names: list[str], afters: list[str]) -> None:
    chain = [kind(name, after or before) for name, after, before in zip(names, afters, ["train", *names], strict=False)]
    found = list(kinds_of(reversed(chain)))
    assert [name for name in found if name in BUILT_IN] == list(BUILT_IN)
    assert all(found.index(one.after) < found.index(one.name) for one in chain)


def test_a_row_has_what_the_plugin_said() -> None:
    row = kinds_of([kind("a", "train", seeded=True, host_bound=True, measures=True, parts={"x": "x"})])["a"]
    assert (row.seeded, row.host_bound, row.measures, row.parts) == (True, True, True, {"x": "x"})
    assert (row.title, row.doc) == ("Do nothing", "{summary}")


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (kind("select", "train"), "register('select'): modelyard has a kind of stage of this name\n  taken: check, "),
        (
            kind("a-b", "train"),
            "register('a-b'): the name of a kind of stage has 1 to 52 lower-case letters, digits and",
        ),
        (kind("3d", "train"), "a letter first"),
        (
            kind("a", "slect"),
            "trait 'after' is 'slect', which is no kind of stage that is in the order, did you mean 's",
        ),
        (kind("a", "a"), "kinds cannot stand behind each other in a circle"),
    ],
)
def test_what_cannot_be_in_the_table_is_refused(one: Component, message: str) -> None:
    with pytest.raises(PluginError) as caught:
        kinds_of([one])
    assert message in str(caught.value)
    assert str(caught.value).startswith("plugin test.py: register(")
