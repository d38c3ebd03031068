from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks import evaluation

from modelyard.metrics import Metric
from modelyard.metrics.intervals import Pairs, drop_interval
from modelyard.variants.evaluation import PER_SAMPLE, Latency, Measured
from modelyard.variants.paired import pairs_interval, pairs_of

RIGHT = Metric(name="accuracy", better="higher", unit="fraction", value=0.5)


def measured(folder: Path, values: Any = None) -> Measured:
    """Return an evaluation whose folder holds `values`, one for each sample."""
    if values is not None:
        (folder / PER_SAMPLE).mkdir(parents=True)
        np.save(folder / PER_SAMPLE / "accuracy.npy", values)
    return Measured(
        evaluation(accuracy=0.5, size=1, gzip=1),
        Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.0, samples=10, warmup=0),
        folder,
    )


def test_pairs_are_counted() -> None:
    one = np.array([True, True, True, False, False, False])
    other = np.array([True, False, False, True, False, False])
    assert pairs_of(one, other) == Pairs(1, 2, 1, 2)
    assert sum(pairs_of(one, other)) == 6


def test_right_and_wrong_are_compared_sample_by_sample(tmp_path: Path) -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = np.array([False] * 4 + [True] * 87 + [False] * 9)
    variant, baseline = measured(tmp_path / "v", after), measured(tmp_path / "b", before)
    assert pairs_interval(RIGHT, variant, baseline) == drop_interval(Pairs(86, 4, 1, 9))


def test_numbers_that_move_together_have_a_narrow_interval(tmp_path: Path) -> None:
    values = np.linspace(0, 100, 50)
    variant, baseline = measured(tmp_path / "v", values - 1), measured(tmp_path / "b", values)
    assert pairs_interval(RIGHT, variant, baseline) == pytest.approx((1, 1))


@pytest.mark.parametrize("values", [None, np.ones(3)], ids=["none", "other samples"])
def test_without_the_same_samples_there_is_no_interval(tmp_path: Path, values: Any) -> None:
    variant, baseline = measured(tmp_path / "v", values), measured(tmp_path / "b", np.ones(4))
    assert pairs_interval(RIGHT, variant, baseline) is None


def test_the_baseline_is_as_good_as_itself(tmp_path: Path) -> None:
    baseline = measured(tmp_path / "b", np.ones(4))
    assert pairs_interval(RIGHT, baseline, baseline) is None
