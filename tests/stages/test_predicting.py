"""Answers in a file: texts as wide as the longest, in whatever order they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.stages.predicting import predict
from modelyard.task import Task
from modelyard.tensors import OutputFacts


class Echo:
    """Answers a text for each number: as many letters."""

    def predict(self, raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.array([b"x" * int(one) for one in raw[:, 0]], object)


class AnyText(Task):
    def check_answers(self, answers: np.ndarray[Any, Any], first: int) -> None:
        return


@pytest.mark.parametrize("workers", [1, 3])
def test_texts_of_any_length_are_kept_whole(tmp_path: Path, workers: int) -> None:
    lengths = np.random.default_rng(0).permutation(40)
    file = tmp_path / "answers.npy"

    predict(
        Echo,
        {"n": lengths[:, None]},
        file,
        OutputFacts(name="text", dtype="bytes", shape=()),
        AnyText(),
        3,
        workers,
        lambda *_, **__: None,
    )

    answers = np.load(file)
    assert answers.dtype == "S39"
    assert answers.tolist() == [b"x" * one for one in lengths]
    assert list(tmp_path.iterdir()) == [file]
