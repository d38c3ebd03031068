"""The columns of a data set: one array of samples, or several that each sample has a part in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from modelyard.artifacts import ONLY_INPUT
from modelyard.errors import DataError
from modelyard.stages.splits.axes import with_axes
from modelyard.stages.splits.column import Column
from modelyard.stages.splits.texts import Texts, are_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelyard.artifacts import Splits

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"


def columns_of(splits: Splits) -> list[Column]:
    """Return the columns of a data set, in its order.

    Raises:
        DataError: the splits have other columns, or what they hold are no arrays.
    """
    named = {split: isinstance(getattr(splits, f"{split}_x"), Mapping) for split in ("train", "test")}
    if not any(named.values()):
        train, test = (_array(f"{split}_x", getattr(splits, f"{split}_x")) for split in ("train", "test"))
        given: Any = splits.value_range
        known = (_usual(train) if given == "auto" else given) or _usual(train)
        is_scaled = given is not None or known is not None
        return with_axes([Column(ONLY_INPUT, train, test, known, is_named=False, is_scaled=is_scaled)])
    if not all(named.values()):
        msg = "train_x and test_x: one is a dict of arrays, the other is none\n  give both the same"
        raise DataError(msg)
    trained, tested = (dict(cast("Mapping[str, Any]", x)) for x in (splits.train_x, splits.test_x))
    _check_names(trained, tested)
    ranges = _ranges(splits.value_range, trained)
    return with_axes([_column(name, trained[name], tested[name], ranges.get(name)) for name in trained])


def _column(name: str, train: Any, test: Any, value_range: Any) -> Column:
    train, test = _array(f"train_x[{name!r}]", train), _array(f"test_x[{name!r}]", test)
    known = value_range or _usual(train)
    return Column(name, train, test, known, is_named=True, is_scaled=known is not None)


def _usual(array: NDArray[np.generic]) -> tuple[float, float] | None:
    """Return the range that a type of samples has by itself: pictures hold bytes."""
    return (0.0, 255.0) if array.dtype.name in ("uint8", "bool") else None


def _check_names(train: Mapping[str, Any], test: Mapping[str, Any]) -> None:
    for name in train:
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            msg = f"train_x: {name!r} is not allowed as the name of an input\n  allowed: letters, digits, '_', '.' and '-', a letter first"
            raise DataError(msg)
    if not train or train.keys() != test.keys():
        msg = f"train_x has {_listed(train)}, but test_x has {_listed(test)}\n  give both the same arrays, one or more"
        raise DataError(msg)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, names)) or "nothing"


def _ranges(given: Any, names: Mapping[str, Any]) -> Mapping[str, tuple[float, float]]:
    if given in (None, "auto"):
        return {}
    if not isinstance(given, Mapping):
        msg = f"value_range: {given!r} is one range for {len(names)} arrays\n  give a dict with the range of each array that has one"
        raise DataError(msg)
    for name in given:
        if name not in names:
            msg = f"value_range: there is no array {name!r}\n  arrays: {_listed(names)}"
            raise DataError(msg)
    return given


def _array(place: str, value: Any) -> Any:
    """Return `value` if it is an array, or can be looked at like one, as HDF5 data sets can; texts, bytes and paths as `Texts`.

    Raises:
        DataError: it is none.
    """
    if isinstance(value, Texts):
        return value
    if are_texts(value):
        return Texts(value, place)
    if all(hasattr(value, part) for part in ("ndim", "shape", "dtype")):
        return value
    msg = (
        f"{place}: is a {type(value).__name__}, not a numpy array\n"
        "  give one array, a sample along its first axis; or a dict of such arrays, one for each input of the model"
    )
    raise DataError(msg)
