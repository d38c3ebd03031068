from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from modelyard.annotations import refusal
from modelyard.params import Fraction, PositiveInt

Text = Annotated[str, Meta(max_length=3)]
Table = Annotated[dict[str, int], Meta(min_length=1)]
Noted = Annotated[int, Meta(description="a number")]
Pair = Annotated[tuple[int, int], Meta(description="a pair")]
Bounded = Annotated[tuple[PositiveInt, ...], Meta(min_length=2, max_length=2)]

REFUSED = [
    PositiveInt | tuple[int, int],
    Fraction | tuple[int],
    Text | tuple[PositiveInt, PositiveInt],
    Table | tuple[int, int],
    PositiveInt | tuple[()],
    PositiveInt | Pair,
    Annotated[PositiveInt, Meta(description="a number")] | tuple[int, int],
    Literal["auto"] | PositiveInt | tuple[int, int] | None,
    Annotated[PositiveInt | tuple[int, int], Meta(description="a size")],
    PositiveInt | Annotated[tuple[int, int] | str, Meta(description="a size")],
    list[PositiveInt | tuple[int, int]],
    dict[str, PositiveInt | tuple[int, int]],
]
TAKEN = [
    PositiveInt,
    tuple[PositiveInt, PositiveInt],
    int | tuple[int, int],
    Noted | tuple[int, int],
    int | tuple[PositiveInt, PositiveInt],
    PositiveInt | tuple[int, ...],
    PositiveInt | Bounded,
    PositiveInt | list[int] | None,
    tuple[PositiveInt, PositiveInt] | None,
    dict[str, PositiveInt] | tuple[int, int],
    PositiveInt | list[tuple[int, int]],
    Annotated[str, Meta(pattern="a")] | tuple[int, int],
]
VALUES = [3, 0, "a", [1, 2], [1], [[1, 2]], {"a": 1}, {"a": [1, 2]}, 0.5, None]


@pytest.mark.parametrize("annotation", REFUSED, ids=str)
def test_a_union_of_a_fixed_tuple_and_a_bounded_value_is_refused(annotation: Any) -> None:
    assert refusal(annotation).startswith("holds a value with bounds or a tuple of fixed length")


@pytest.mark.parametrize("annotation", TAKEN, ids=str)
def test_others_are_not(annotation: Any) -> None:
    assert refusal(annotation) == ""


def test_what_is_taken_ends_no_process() -> None:
    """msgspec is asked itself, so that a version with more of the defect is noticed."""
    code = "from tests.test_annotations import *\nfor one in TAKEN: check_all(one)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def check_all(annotation: Any) -> None:
    for value in VALUES:
        with contextlib.suppress(msgspec.ValidationError):
            msgspec.convert(value, annotation, strict=True)
