"""Mean and deviation are taken where the preprocessing needs them, and nowhere else: on big data they cost minutes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.front_door.builds import build

if TYPE_CHECKING:
    from pathlib import Path


def test_only_standard_takes_mean_and_deviation(new_toy: Path) -> None:
    found = {}
    for normalize in ("unit", "none", "standard"):
        done = build(new_toy, f"dataset.normalize={normalize}", "dataset")
        assert done.built == {"dataset:points"}, done.output
        facts = json.loads((new_toy / "artifacts/dataset/points/dataset.json").read_text())
        (taken,) = facts["inputs"]
        found[normalize] = taken["preprocessing"]["mean"], taken["preprocessing"]["std"]

    assert found["unit"] == ([-0.5], [1])
    assert found["none"] == ([0], [1])
    assert found["standard"] == (pytest.approx([0.33, 0.33], abs=0.1), pytest.approx([0.48, 0.48], abs=0.1))
