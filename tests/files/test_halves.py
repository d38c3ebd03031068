"""float16 on disk is float32 to whoever reads it."""

from __future__ import annotations

import numpy as np

from modelyard.files.halves import widened


def test_halves_are_looked_at_as_float32() -> None:
    halves = np.linspace(0, 1, 12).astype(np.float16).reshape(4, 3)
    seen = widened(halves)
    assert (seen.dtype, seen.shape, seen.ndim, seen.size, len(seen)) == (np.float32, (4, 3), 2, 12, 4)
    for rows in (1, slice(1, 3), np.array([3, 0]), slice(None)):
        assert seen[rows].dtype == np.float32
        np.testing.assert_array_equal(seen[rows], halves[rows])
    np.testing.assert_array_equal(np.asarray(seen), halves)


def test_others_stay_as_they_are() -> None:
    array = np.zeros(3, np.float32)
    assert widened(array) is array
