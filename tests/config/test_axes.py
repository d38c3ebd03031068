from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.config.axes import axes_of, leaves, nested
from modelyard.errors import ConfigError
from modelyard.toml.places import ConfigSource

WHERE = ConfigSource().where("trainings", "sweep", "matrix")
KEYS = st.text("abc_", min_size=1, max_size=3)
TABLES = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.dictionaries(KEYS, TABLES, max_size=3))
def test_a_table_is_what_its_leaves_say(table: dict[str, Any]) -> None:
    found = dict(leaves(table))
    assert nested(found) == table
    assert not any(isinstance(value, dict) for value in found.values())


def test_each_axis_is_a_key_with_its_values_by_name_in_the_order_of_the_file() -> None:
    table = {"train": {"learning_rate": [0.1, 0.01], "schedule": {"steps": [[10, 20], "none"]}}, "seed": [1, 0]}
    rate, steps, seed = axes_of(table, WHERE)
    assert (rate.key, rate.label, rate.values) == ("train.learning_rate", "learning-rate", {"0.1": 0.1, "0.01": 0.01})
    assert (steps.path, steps.label) == (("train", "schedule", "steps"), "steps")
    assert steps.values == {"10-20": [10, 20], "none": "none"}
    assert (seed.key, list(seed.values.values())) == ("seed", [1, 0])


def test_two_keys_of_one_name_are_told_apart_by_their_tables() -> None:
    axes = axes_of({"model": {"width": [8, 16]}, "train": {"width": [1], "rate": [2]}}, WHERE)
    assert [axis.label for axis in axes] == ["model-width", "train-width", "rate"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (3, "axis 'train.rate': 3 is not a list\n  write a list of the values, for instance train.rate = [3]"),
        ([], "axis 'train.rate' is empty"),
        ([[[1]]], "axis 'train.rate': [[1]] is not allowed\n  allowed: texts, numbers, true, false, and lists of them"),
        ([{"a": 1}], "axis 'train.rate': {'a': 1} is not allowed"),
        ([1, "1"], "'1' gives the same name as 1\n  values become a part of the training's name, as '1'"),
        ([[1, 2], "1 2"], "'1 2' gives the same name as [1, 2]"),
    ],
)
def test_an_axis_without_values_that_names_tell_apart_is_refused(values: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        axes_of({"train": {"rate": values}}, WHERE)
    assert said in str(caught.value)
    assert str(caught.value).startswith("pyproject.toml: [tool.modelyard.trainings.sweep.matrix]: ")
