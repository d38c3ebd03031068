"""Of what each test sample is: of which camera, which language, which test set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import slice_file
from modelyard.errors import DataError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = r"[a-z][a-z0-9_]{0,30}"
_MOST = 64
"""Values of a column: each is measured, and has a cell in a table."""


def check_set_slices(slices: Any, samples: Mapping[str, int]) -> dict[str, dict[str, list[str]]]:
    """Return the value of each sample of further test sets, as a text, by set and column.

    Args:
        slices: what the data set gives.
        samples: how many samples each further test set has.

    Raises:
        DataError: there is no such set, or a column of it is none.
    """
    from collections.abc import Mapping

    if not isinstance(slices, Mapping):
        msg = f"test_set_slices: is a {type(slices).__name__}\n  give a dict with the columns of each further test set by its name"
        raise DataError(msg)
    for name in slices:
        if name not in samples:
            msg = f"test_set_slices: there is no test set {name!r}{did_you_mean(str(name), samples)}\n  test sets: {listing(samples)}"
            raise DataError(msg)
    return {name: check_slices(one, samples[name], f"test_set_slices[{name!r}]") for name, one in slices.items()}


def check_slices(slices: Any, samples: int, place: str = "slices") -> dict[str, list[str]]:
    """Return the value of each test sample, as a text, by column.

    Args:
        slices: what the data set gives.
        samples: how many test samples there are.
        place: what messages call it.

    Raises:
        DataError: a column has another length than the test split, a name or value that is none, or too many values.
    """
    from collections.abc import Mapping

    if not isinstance(slices, Mapping):
        msg = f"{place}: is a {type(slices).__name__}\n  give a dict with the values of the test samples by what they are of"
        raise DataError(msg)
    return {_name(name, place): _values(f"{place}[{name!r}]", column, samples) for name, column in slices.items()}


def _name(name: Any, place: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        msg = f"{place}: {name!r} is not allowed as a name\n  allowed: a lower-case letter, then letters, digits and underscores, 31 at most"
        raise DataError(msg)
    return name


def _values(place: str, column: Any, samples: int) -> list[str]:
    if isinstance(column, str | bytes) or not hasattr(column, "__len__") or not hasattr(column, "__iter__"):
        msg = f"{place}: is a {type(column).__name__}\n  give a list, or an array, with a value for each test sample"
        raise DataError(msg)
    if len(column) != samples:
        msg = f"{place}: has {len(column):,} values for {samples:,} test samples\n  give one for each"
        raise DataError(msg)
    found = [_text(place, number, value) for number, value in enumerate(column)]
    if len(set(found)) > _MOST:
        msg = f"{place}: has {len(set(found)):,} different values\n  allowed: at most {_MOST}, since each is measured: join some"
        raise DataError(msg)
    return found


def _text(place: str, number: int, value: Any) -> str:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        msg = f"{place}: that of sample {number} is {value!r}\n  allowed: a text that is not empty, or a whole number"
        raise DataError(msg)
    return str(value)


def write_slices(out: Path, slices: Mapping[str, list[str]], split: str = "test") -> dict[str, tuple[str, ...]]:
    """Write the columns to the folder `out`, int32, shape `(samples,)`, and return the names of their values, sorted."""
    import numpy as np

    names = {column: tuple(sorted(set(values))) for column, values in slices.items()}
    for column, values in slices.items():
        numbers = {name: number for number, name in enumerate(names[column])}
        np.save(out / slice_file(column, split), np.array([numbers[value] for value in values], np.int32))
    return names
