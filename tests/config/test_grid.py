"""Axes and their combinations: each value has a name of its own, and nothing is left out but what is excluded."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.config.grid import combinations, list_name, named_values, same, too_many
from modelyard.errors import ConfigError
from modelyard.toml.places import ConfigSource

SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text("ab-_ ", max_size=3))


@given(st.lists(st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=5))
def test_names_tell_values_apart_or_the_axis_is_refused(values: list[Any]) -> None:
    where = ConfigSource().where("matrix")
    told = ""
    found: dict[str, Any] = {}
    try:
        found = named_values("x", values, where, of="training", name=list_name)
    except ConfigError as exc:
        told = str(exc)
    if told:
        assert told.startswith(f"{where}: axis 'x'")
        assert told.count("\n") == 1
    else:
        assert list(found.values()) == values
        assert all(found)


@given(
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True), min_size=1
    ),
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), min_size=1), max_size=2),
)
def test_combinations_are_all_but_the_excluded_in_order(
    axes: dict[str, list[int]], excluded: list[dict[str, int]]
) -> None:
    excluded = [one for one in excluded if one.keys() <= axes.keys()]
    found = combinations({key: {f"v{value}": value for value in values} for key, values in axes.items()}, excluded)
    every = (dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values()))
    wanted = [one for one in every if not any(part.items() <= one.items() for part in excluded)]
    assert list(found) == [(tuple(f"v{value}" for value in one.values()), one) for one in wanted]


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_values_of_unlike_types_are_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert same(one, one)


def test_more_than_the_bound_is_told_with_the_axes() -> None:
    axes = {"a": {str(one): one for one in range(129)}, "b": {"x": 1, "y": 2}}
    assert too_many(axes) == "129 (a) x 2 (b) are 258"
    assert not too_many({"a": {str(one): one for one in range(256)}})
