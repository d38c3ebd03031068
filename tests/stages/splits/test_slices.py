"""Of what each test sample is: texts or whole numbers, one for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.artifacts import slice_file
from modelyard.errors import DataError
from modelyard.stages.splits.slices import check_set_slices, check_slices, write_slices


@given(st.lists(st.one_of(st.integers(0, 5), st.sampled_from(["day", "night"])), min_size=1, max_size=30))
def test_what_is_written_says_what_each_sample_is_of(values: list[str | int]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        names = write_slices(Path(folder), check_slices({"of": values}, len(values)))["of"]
        numbers = np.load(Path(folder) / slice_file("of"))
        assert numbers.dtype == np.int32
        assert [names[number] for number in numbers] == [str(value) for value in values]
        assert list(names) == sorted(names)


def test_arrays_are_taken_as_lists_are() -> None:
    given_ = {"light": np.array(["day", "night"]), "site": np.array([3, 7])}
    assert check_slices(given_, 2) == {"light": ["day", "night"], "site": ["3", "7"]}


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"light": ["day"]}, r"slices\['light'\]: has 1 values for 2 test samples\n  give one for each"),
        ({"Light": ["day", "day"]}, "slices: 'Light' is not allowed as a name\n  allowed: a lower-case"),
        ({"light": ["day", ""]}, r"slices\['light'\]: that of sample 1 is ''\n  allowed: a text"),
        ({"light": [0.5, 1]}, r"slices\['light'\]: that of sample 0 is 0.5\n"),
        ({"light": "ab"}, r"slices\['light'\]: is a str\n  give a list"),
        (["day", "night"], "slices: is a list\n  give a dict"),
    ],
)
def test_what_says_nothing_of_each_sample_is_refused(slices: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_slices(slices, 2)


def test_too_many_values_are_refused() -> None:
    with pytest.raises(DataError, match="has 65 different values\n  allowed: at most 64"):
        check_slices({"of": list(range(65))}, 65)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"nigt": {}}, "test_set_slices: there is no test set 'nigt', did you mean 'night'"),
        ({"night": {"of": ["a"]}}, r"test_set_slices\['night'\]\['of'\]: has 1 values for 2 test samples"),
        ({"night": ["a", "b"]}, r"test_set_slices\['night'\]: is a list"),
        (["a"], "test_set_slices: is a list\n  give a dict"),
    ],
)
def test_columns_of_a_further_test_set_are_checked_as_those_of_the_test_split(slices: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_set_slices(slices, {"night": 2})
