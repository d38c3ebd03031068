from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.facts import model_facts
from tests.plugins.conftest import no_progress

from modelyard.artifacts import Model
from modelyard.contexts import MetricContext
from modelyard_plugins.metrics.throughput import throughput

if TYPE_CHECKING:
    from modelyard.artifacts import Dataset


class Slow:
    """A model that takes a hundredth of a second, and a processor nothing."""

    def predict(self, raw: np.ndarray) -> np.ndarray:
        assert len(raw) == 1, "one sample a call"
        time.sleep(0.01)
        return np.ones((1, 2), np.float32)


class Samples:
    """A test split."""

    def raw(self, _: str) -> dict[str, np.ndarray]:
        return {"input": np.zeros((7, 2), np.uint8)}


def context(folder: Path, side_by_side: int) -> MetricContext:
    dataset: Dataset = Samples()  # type: ignore[assignment]
    return MetricContext(
        out=folder,
        project=folder,
        cache=folder,
        seed=0,
        progress=no_progress,
        log=print,
        model=Model(folder, model_facts(format="toy", input_shape=(2,), class_names=("a", "b"))),
        dataset=dataset,
        answers=np.zeros((7, 2), np.float32),
        open_model=Slow,
        runtime=None,  # type: ignore[arg-type]  # it starts no server
        side_by_side=side_by_side,
    )


@pytest.mark.parametrize(("side_by_side", "predictors", "busy"), [(1, None, 1), (3, None, 3), (1, 4, 4)])
def test_predictors_side_by_side_answer_as_many_as_their_number(
    tmp_path: Path, side_by_side: int, predictors: int | None, busy: int
) -> None:
    value, low, high = throughput(context(tmp_path, side_by_side), seconds=0.6, predictors=predictors)
    assert low <= value <= high
    assert busy * 20 < value <= busy * 100 * 1.05  # none answers faster than it can; a busy machine is slower
