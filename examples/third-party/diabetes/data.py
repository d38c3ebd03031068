"""Ten figures of each of 442 patients, and how far their diabetes came in a year, as scikit-learn ships them."""

import numpy as np
from sklearn.datasets import load_diabetes

from modelyard.artifacts import Splits


def patients(context, *, test: int = 90):
    """Return patients, as they were measured.

    Args:
        context: the seed decides who is for testing.
        test: how many those are.
    """
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, order = x.astype(np.float32), np.random.default_rng(context.seed).permutation(len(x))
    return Splits(x[order[test:]], y[order[test:]], x[order[:test]], y[order[:test]])
