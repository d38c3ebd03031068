"""The data set `digits`: 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard_plugins.support.data.splitting import TestFraction, stratified_split

if TYPE_CHECKING:
    from modelyard.artifacts import Splits
    from modelyard.contexts import StageContext
    from modelyard.hookspecs import Register


def digits(context: StageContext, *, test_fraction: TestFraction = 0.2) -> Splits:
    """1,797 handwritten digits, 8 x 8, from scikit-learn; needs no network.

    Args:
        context: the seed decides which samples are for testing.
        test_fraction: part of each class that is set apart for testing.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    from modelyard.artifacts import Splits

    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[..., np.newaxis]
    labels = bunch.target.astype(np.int64)
    train, test = stratified_split(labels, test_fraction, context.seed)
    names = [str(name) for name in bunch.target_names]
    return Splits(images[train], labels[train], images[test], labels[test], names, value_range=(0, 16))


@hookimpl
def modelyard_register_datasets(register: Register) -> None:
    """Register the data set."""
    register("digits", digits, tools=("scikit-learn", "numpy"), deterministic=True)
