"""Which samples of a training split are held out in each fold of a cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def fold_numbers(samples: int, folds: int, seed: int, labels: NDArray[np.generic] | None = None) -> NDArray[np.int64]:
    """Return which fold each sample is held out in, from 0, shape `(samples,)`.

    The sizes of the folds differ by one at most, as do the numbers of samples of each class in them.

    Args:
        samples: how many there are.
        folds: how many folds, two or more.
        seed: decides which samples are in which fold.
        labels: the class of each sample, shape `(samples,)`; None: they are of no class.

    Raises:
        DataError: there are fewer samples than folds, in all or of a class.

    Source: Kohavi, "A Study of Cross-Validation and Bootstrap" (1995): stratified folds.
    """
    import numpy as np

    classes = np.zeros(samples, np.int64) if labels is None else np.asarray(labels)
    names, counts = np.unique(classes, return_counts=True)
    if counts.min() < folds:
        what = "there are" if labels is None else f"the class with label {names[counts.argmin()]} has"
        msg = f"{what} {counts.min()} samples for {folds} folds: one would hold none\n  add samples, or set a smaller folds"
        raise DataError(msg)
    order = np.random.default_rng(seed).permutation(samples).astype(np.int64)
    by_class = order[np.argsort(classes[order], kind="stable")]  # dealt out like cards, class after class
    found = np.empty(samples, np.int64)
    found[by_class] = np.arange(samples) % folds
    return found


def group_shares(
    groups: Sequence[Any] | NDArray[np.generic],
    shares: Sequence[float],
    seed: int,
    labels: NDArray[np.generic] | None = None,
) -> NDArray[np.int64]:
    """Return which share each sample falls to, from 0, shape `(N,)`: all samples of a group to the same.

    The groups are dealt out from the largest to the smallest, each to where it leaves the classes spread most evenly: that
    keeps, for each class, the sum of squares of the shares' parts of it small.

    Args:
        groups: what each sample is of, such as its patient, shape `(N,)`.
        shares: which part of the samples each is to have; together 1.
        seed: decides between groups that are alike.
        labels: the class of each sample, shape `(N,)`; None: they are of no class.

    Raises:
        DataError: there are too few groups, so that a share would have none.
    """
    import numpy as np

    _, members = np.unique(np.asarray(groups), return_inverse=True)
    _, classes = np.unique(np.zeros(len(members)) if labels is None else labels, return_inverse=True)
    counts = np.zeros((members.max() + 1, classes.max() + 1))
    np.add.at(counts, (members, classes), 1)
    parts, wanted = counts / counts.sum(axis=0), np.asarray(shares)
    loads, sizes, falls_to = np.zeros((len(wanted), counts.shape[1])), np.zeros(len(wanted)), np.empty(len(counts), int)
    order = np.random.default_rng(seed).permutation(len(counts))
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        part = parts[group]
        cost = (2 * loads @ part + part @ part) / wanted
        share = np.lexsort((sizes / wanted, np.round(cost, 12)))[0]
        falls_to[group], loads[share], sizes[share] = share, loads[share] + part, sizes[share] + counts[group].sum()
    if not sizes.all():
        msg = f"there are {len(counts)} groups for {len(wanted)} parts: one would hold none\n  add samples of further groups, or ask for fewer or larger parts"
        raise DataError(msg)
    return falls_to[members]
