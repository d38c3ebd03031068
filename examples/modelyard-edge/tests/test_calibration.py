from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.testing import check_metric

if TYPE_CHECKING:
    from pathlib import Path


def test_it_keeps_the_contract_and_lies_between_none_and_all(small_project: Path) -> None:
    found = check_metric("calibration", project=small_project, refuses=[{"bins": 0}])
    assert 0 <= found.value <= 1
    assert check_metric("calibration", project=small_project, params={"bins": 1}).value <= found.value + 1e-9
