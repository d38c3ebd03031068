"""Before the first client: what the model is tried with, and what is measured of it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from modelyard.serving import warming


def test_whether_it_pays_is_measured_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paced:
        """A model that takes a millisecond a call, and as much again for each sample beyond the first."""

        def __init__(self, sample_s: Any) -> None:
            self.sample_s = sample_s

        def run(self, inputs: Any) -> Any:
            clock.append(0.001 + (len(inputs["input"]) - 1) * self.sample_s)
            return inputs

    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: sum(clock))
    sample = {"input": np.zeros((1, 2), np.uint8)}

    assert warming.batches("auto", Paced(0.0001), sample, 0.001)
    assert not warming.batches("auto", Paced(0.001), sample, 0.001)
    assert not warming.batches("auto", Paced(0.0001), sample, None)
    assert warming.batches("on", Paced(0.001), sample, None)
    assert not warming.batches("off", Paced(0.0001), sample, 0.001)
