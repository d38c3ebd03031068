from __future__ import annotations

import pytest

from modelyard.errors import ConfigError
from modelyard.stages.gates import Gates


def test_bounds_are_read_with_their_units():
    gates = Gates.parse({"min_accuracy": 1, "max_size": "1 MiB", "max_latency_p99": "0.2 s", "max_accuracy_drop": None})
    assert gates == Gates(min_accuracy=1.0, max_size_bytes=2**20, max_latency_p99_ms=200.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_sise": 3}, r"\.gates\]: unknown gate 'max_sise', did you mean 'max_size'\?\n  allowed: "),
        ({"max_size": "3 mb"}, r"key 'max_size': '3 mb': unknown unit 'mb', did you mean 'MB'\?"),
        ({"max_latency_p99": "fast"}, r"key 'max_latency_p99': 'fast' cannot be read"),
        ({"min_accuracy": 90}, r"key 'min_accuracy': 90 is not allowed\n  allowed: a fraction from 0 to 1"),
        ({"max_accuracy_drop": "2%"}, r"key 'max_accuracy_drop': '2%' is not allowed"),
    ],
)
def test_a_gate_that_cannot_be_read_says_why(values, message):
    with pytest.raises(ConfigError, match=message):
        Gates.parse(values)
