"""What tasks with a class at each position share: what an answer must be, and when two are the same."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.errors import PluginError
from modelyard_plugins.tasks.segmentation import Segmentation

TASK = Segmentation(None)


def test_a_position_without_a_distribution_is_told_with_its_sample() -> None:
    good = np.full((2, 3, 3, 2), 0.5, np.float32)
    TASK.check_answers(good, 0)
    for wrong in (0.7, np.nan):
        bad = good.copy()
        bad[1, 2, 0, 0] = wrong
        with pytest.raises(PluginError, match="test sample 5 has a pixel without a distribution"):
            TASK.check_answers(bad, 4)


def test_two_answers_agree_but_for_a_rounding() -> None:
    own = np.array([[[[0.5, 0.5]]], [[[0.6, 0.4]]]], np.float32)
    rounded = np.array([[[[0.49999, 0.50001]]], [[[0.6, 0.4]]]], np.float32)
    assert TASK.agreement(own, rounded).differ == 0
    other = np.array([[[[0.5, 0.5]]], [[[0.4, 0.6]]]], np.float32)
    assert TASK.agreement(own, other) == (1, pytest.approx(0.2))
    broken = own.copy()
    broken[0] = np.nan
    assert not TASK.agreement(broken, own).worst <= 1
