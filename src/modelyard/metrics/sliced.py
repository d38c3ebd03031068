"""What a task measures, of parts of the test split and of further test sets.

A set is measured as the test split is. Of a column of the test split each value is: each camera, each language. A mean may
hide that a model fails where it is dark. Of each quantity there is then one more, whose groups are the values of the column,
and whose own value is that of the worst of them: gates, tables and the report treat it like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from modelyard.metrics import Metric, Quantity
from modelyard.metrics.parts import Of, of_part


def on_sets(quantities: Iterable[Quantity], names: Sequence[str]) -> tuple[Quantity, ...]:
    """Return what is measured on each of the further test sets `names`, for what a task measures on the test split."""
    return tuple(on_set(one, name) for name in names for one in quantities)


def on_set(one: Of, name: str) -> Of:
    """Return a quantity, or a metric, as that of the test set `name`: called `NAME_METRIC`, and no part of the Pareto front."""
    part = of_part(one, name, f"{one.head} on {name}", f" on {name}")
    return msgspec.structs.replace(part, objective=False, detail=2)


def over_folds(quantities: Iterable[Quantity]) -> tuple[Quantity, ...]:
    """Return the means over the folds of a cross-validation, of what says how good answers are: called `folds_METRIC`."""
    return tuple(over_fold(one) for one in quantities if one.is_compared)


def over_fold(one: Of) -> Of:
    """Return a quantity, or a metric, as the mean over the folds of a cross-validation; it is no part of the Pareto front."""
    part = of_part(one, "folds", f"{one.head} over folds", " over folds")
    return msgspec.structs.replace(part, group="", is_worst=False, sampled=True, objective=False, detail=2)


def sliced(quantities: Iterable[Quantity], columns: Sequence[str]) -> tuple[Quantity, ...]:
    """Return what is measured of each value of each of `columns`, for what a task measures.

    A column `SET.COLUMN` is one of the further test set SET; any other one is of the test split.
    """
    return tuple(_of(one, column) for column in columns for one in quantities)


def _of(one: Quantity, column: str) -> Quantity:
    test_set, name = split_of(column)
    part = of_part(one, name, f"{one.head} by {name}")
    part = part if test_set == "test" else on_set(part, test_set)
    return msgspec.structs.replace(part, group=name, is_worst=True, sampled=False, objective=False, detail=3)


def split_of(column: str) -> tuple[str, str]:
    """Return the split that a column is of, `test` or a further test set, and what it is called there."""
    test_set, _, name = column.rpartition(".")
    return test_set or "test", name


def worst(quantity: Quantity, found: Mapping[str, Metric]) -> Metric:
    """Return a quantity that `sliced` gave, with its value for each group.

    Args:
        quantity: the quantity.
        found: what was measured of each value of the column, one or more.
    """
    known = [one for one in found.values() if _says_anything(one)] or list(found.values())
    values = {name: one.value if _says_anything(one) else None for name, one in found.items()}
    return quantity.of(max(known, key=lambda one: one.cost).value, None, values)


def _says_anything(one: Metric) -> bool:
    """Whether anything counted: of a value all of whose pixels, or tokens, do not count there is nothing to say."""
    return not one.per_group or any(value is not None for value in one.per_group.values())
