from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ConfigError
from modelyard.testing import check_optimizer, measure

if TYPE_CHECKING:
    from pathlib import Path


def test_it_keeps_the_contract_and_the_model_compresses_better(small_project: Path) -> None:
    checked = check_optimizer("round-weights", project=small_project, params={"levels": 32}, refuses=[{"levels": 1}])
    plain = measure(small_project, ["float32"])
    assert checked.evaluation.gzip_bytes < 0.7 * plain.gzip_bytes
    assert abs(checked.evaluation.size_bytes - plain.size_bytes) < 0.01 * plain.size_bytes
    assert checked.evaluation.metric("accuracy").value >= plain.metric("accuracy").value - 0.05


def test_one_level_is_refused_before_anything_is_built(small_project: Path) -> None:
    said = re.escape("key 'levels': 1 is not allowed: expected `int` >= 2")
    with pytest.raises(ConfigError, match=said):
        measure(small_project, [{"use": "round-weights", "levels": 1}, "float32"])
