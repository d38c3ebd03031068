"""Samples of several lengths, as handlers give them: those of one shape go together, so that nobody has to pad them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


class Group(NamedTuple):
    """Some of the samples that came together, which are of one shape.

    Attributes:
        rows: which they are, int64, shape `(n,)`.
        tensors: what there is of them by name, each of shape `(n, *shape)`.
    """

    rows: NDArray[np.int64]
    tensors: Mapping[str, NDArray[Any]]

    def of(self, rows: NDArray[np.int64]) -> Group:
        """Return the same samples, as numbers of a larger whole in which theirs are `rows`."""
        return Group(rows[self.rows], self.tensors)


def is_listed(value: Any, rows: int) -> bool:
    """Tell whether a value holds each of `rows` samples by itself, so that they may be of several shapes."""
    listed = isinstance(value, list | tuple) or getattr(value, "dtype", None) == np.dtype(object)
    return listed and len(value) == rows


def alike(values: Iterable[Sequence[NDArray[Any]]], rows: int) -> list[NDArray[np.int64]]:
    """Return which of `rows` samples have one shape in each of `values`: all of them, in the order of each group's first."""
    found: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    columns = [[np.shape(one) for one in value] for value in values]
    for row in range(rows):
        found.setdefault(tuple([column[row] for column in columns]), []).append(row)
    return [np.asarray(one, np.int64) for one in found.values()]


def merged(groups: Sequence[Group]) -> list[Group]:
    """Return groups of which no two are of one shape: what came of unlike samples may have become alike."""
    if len(groups) == 1:
        return list(groups)
    found: dict[tuple[tuple[int, ...], ...], list[Group]] = {}
    for one in groups:
        found.setdefault(tuple([array.shape[1:] for array in one.tensors.values()]), []).append(one)
    return [_one(each) for each in found.values()]


def _one(groups: Sequence[Group]) -> Group:
    """Return groups of one shape as one, its samples in their order."""
    if len(groups) == 1:
        return groups[0]
    order = in_order(groups)
    tensors = {name: np.concatenate([one.tensors[name] for one in groups])[order] for name in groups[0].tensors}
    return Group(np.concatenate([one.rows for one in groups])[order], tensors)


def in_order(groups: Sequence[Group]) -> NDArray[np.int64]:
    """Return what puts the samples of groups that follow each other into the order in which they came."""
    return np.argsort(np.concatenate([one.rows for one in groups]), kind="stable")
