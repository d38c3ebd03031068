"""A small data set on disk, and a progress that keeps what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits

if TYPE_CHECKING:
    from pathlib import Path


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, float | None]] = []

    def __call__(self, done: float, total: float | None = None, *, unit: str = "", note: str = "") -> None:
        self.calls.append((done, total))


def splits(seed: int = 0, **changes: object) -> Splits:
    """30 + 12 uint8 pictures of 4 x 4 x 3 in three classes, with `changes`."""
    random = np.random.default_rng(seed)
    made = {
        "train_x": random.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8),
        "train_y": np.arange(30) % 3,
        "test_x": random.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8),
        "test_y": np.arange(12) % 3,
        "class_names": ("a", "b", "c"),
        "value_range": (0.0, 255.0),
    }
    return Splits(**{**made, **changes})  # type: ignore[arg-type]


@pytest.fixture
def make_splits() -> Any:
    return splits


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "dataset"
    folder.mkdir()
    write_dataset(splits(), folder, progress=Told())
    return Dataset.open(folder)
