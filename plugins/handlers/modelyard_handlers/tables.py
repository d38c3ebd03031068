"""The columns of a table to one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelyard.serving.handlers import Handler, Place, Tensors


def table_encode(
    place: Place,
    *,
    numbers: Sequence[str],
    categories: Mapping[str, Sequence[str | int]] | None,
    missing: Mapping[str, float] | None,
    unknown: str,
    output: str,
) -> Handler:
    """Return what makes one row of the columns of a sample: numbers first, then a 0 or 1 for each category.

    Args:
        place: where it stands.
        numbers: the columns of numbers, in their order.
        categories: the columns of categories, each with its values in their order: texts, or whole numbers; None: none.
        missing: what stands for a number that is missing, by column; None: none may be.
        unknown: `zeros`, or `refuse` what is none of the categories.
        output: what the row is called, float32, shape `(n,)`.
    """
    categories, missing = categories or {}, missing or {}
    kinds = {name: "bytes" if isinstance(values[0], str) else "int64" for name, values in categories.items()}
    known = {
        name: np.array([one.encode() if isinstance(one, str) else one for one in values], object)
        for name, values in categories.items()
    }

    def run(tensors: Tensors) -> dict[str, Any]:
        filled = [_filled(name, tensors[name], missing.get(name)) for name in numbers]
        told = [_one_hot(name, tensors[name], values, refuse=unknown == "refuse") for name, values in known.items()]
        return {output: np.concatenate([np.reshape(one, (len(one), -1)) for one in (*filled, *told)], axis=1)}

    width = len(numbers) + sum(map(len, known.values()))
    takes = [place.tensor(name, may_miss=name in missing) for name in numbers]
    takes += [place.tensor(name, kind) for name, kind in kinds.items()]
    return place.handler(run, takes, [place.tensor(output, shape=[width])])


def _filled(name: str, values: NDArray[Any], instead: float | None) -> NDArray[Any]:
    gaps = np.isnan(values)
    if instead is None and gaps.any():
        msg = f"the number {name!r} is missing"
        raise ValueError(msg)
    return values if instead is None else np.where(gaps, np.float32(instead), values)


def _one_hot(name: str, values: NDArray[Any], known: NDArray[Any], *, refuse: bool) -> NDArray[np.float32]:
    found: NDArray[Any] = values[:, None] == known[None]
    if refuse and not (some := found.any(axis=1)).all():
        given = values[int(np.argmin(some))]
        shown = [one.decode() if isinstance(one, bytes) else one for one in known.tolist()]
        said = given.decode(errors="replace") if isinstance(given, bytes) else int(given)
        msg = f"{name!r} is {said!r}; allowed: {', '.join(map(repr, shown))}"
        raise ValueError(msg)
    return found.astype(np.float32)
