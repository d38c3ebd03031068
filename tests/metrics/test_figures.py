from __future__ import annotations

from typing import Any

import pytest

from modelyard.metrics import Metric
from modelyard.metrics.figures import bound, cell, figure, number


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.97139, "fraction", "0.9714"),
        (999, "bytes", "999 B"),
        (41_700, "bytes", "41.7 kB"),
        (23_456_789, "bytes", "23.5 MB"),
        (0.0042, "ms", "0.0042 ms"),
        (0.0421, "ms", "0.042 ms"),
        (12.345, "ms", "12.3 ms"),
        (1234.5, "ms", "1,234 ms"),
        (0.812, "ratio", "0.81"),
        (0.4, "per second", "0.4 /s"),
        (1830.4, "per second", "1,830 /s"),
        (0.123456, "", "0.1235"),
        (45_530.2, "", "45,530"),
        (-45_530.2, "", "-45,530"),
        (1_234_567.8, "", "1,234,568"),
        (0.00001234, "", "1.234e-05"),
        (float("inf"), "", "inf"),
    ],
)
def test_a_value_is_written_as_people_read_it(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_a_ratio_has_its_interval_in_a_table() -> None:
    def ratio(interval: Any) -> str:
        return cell(Metric(name="latency_ratio", better="lower", unit="ratio", value=0.812, interval=interval))

    assert ratio((0.75, 0.9)) == "0.81 (0.75 to 0.90)"
    assert ratio((None, 0.9)) == "0.81 (? to 0.90)"
    assert ratio(None) == "0.812"


def test_a_value_that_misses_a_bound_can_be_told_from_it() -> None:
    assert (number(45_530.123, ""), bound(45_530.0)) == ("45,530.123", "45,530")
    assert (number(1_234_567, "bytes"), bound(1_234_566)) == ("1,234,567", "1,234,566")
    assert (bound(0.05), bound(1500.25), bound(0.1)) == ("0.05", "1500.25", "0.1")
