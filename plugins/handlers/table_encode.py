"""Handler `table-encode`: numbers and categories of a table's row to one row of numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelyard import hookimpl
from modelyard.contexts import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import CheckContext
    from modelyard.hookspecs import RegisterHandler
    from modelyard.serving.handlers import Handler, Place

_PACKAGE = Path(__file__).with_name("modelyard_handlers")


def table_encode(
    place: Place,
    *,
    numbers: tuple[str, ...] = (),
    categories: dict[str, tuple[str | int, ...]] | None = None,
    missing: dict[str, float] | None = None,
    unknown: Literal["zeros", "refuse"] = "zeros",
    output: str = "row",
) -> Handler:
    """Makes one row of numbers of a table's columns: numbers as they are, and for each category a 1 or a 0.

    Numbers come first, in their order, then categories by name. Clients send each column by its name. A number that may be missing is `null` in JSON, and NaN elsewhere.

    Args:
        place: where it stands.
        numbers: the columns of numbers
        categories: the columns of categories, each with its values, all texts or all whole numbers
        missing: columns of numbers that may be missing, each with the number that stands in then, such as a median
        unknown: whether a category that is not named becomes zeros, as a missing one does, or is refused
        output: what the model calls the row
    """
    from modelyard_plugins.handlers import modelyard_handlers

    return modelyard_handlers.table_encode(
        place, numbers=numbers, categories=categories, missing=missing, unknown=unknown, output=output
    )


def problems(_context: CheckContext, **params: Any) -> Iterator[Problem]:
    """Yield columns that are named twice, categories without a value or of two kinds, and gaps where there is no number."""
    numbers, categories, missing = params["numbers"], params["categories"] or {}, params["missing"] or {}
    if not numbers and not categories:
        yield Problem("numbers", "no column is named", "name columns in numbers, or in categories")
    for name, count in Counter((*numbers, *categories)).items():
        if count > 1:
            yield Problem("numbers", f"the column {name!r} is named twice", "name it once")
    for name, values in categories.items():
        if len({type(one) for one in values}) > 1:
            yield Problem(
                "categories", f"{name!r} has texts and whole numbers", "give all in one form, as the data has them"
            )
        if not values or len(set(values)) < len(values):
            what = "twice the same value" if values else "no value"
            yield Problem("categories", f"{name!r} has {what}", "name each of its values once")
    for name in missing:
        if name not in numbers:
            yield Problem(
                "missing", f"{name!r} is none of numbers", "name it there; a category that is missing is zeros"
            )


@hookimpl
def modelyard_register_handlers(register: RegisterHandler) -> None:
    """Register the handler."""
    register("table-encode", table_encode, package=_PACKAGE, check=problems, tools=("numpy",), deterministic=True)
