from __future__ import annotations

import pytest
from tests.configs import Load


@pytest.mark.parametrize(
    ("table", "text", "match"),
    [
        ("evaluate", 'slices = ["a", "a"]', "[tool.modelyard.evaluate]: key 'slices': 'a' is there twice"),
        ("evaluate", 'slices = ["class"]', "key 'slices': 'class' makes names that there are already"),
        ("evaluate", 'test_sets = ["a", "a"]', "[tool.modelyard.evaluate]: key 'test_sets': 'a' is there twice"),
        (
            "evaluate",
            'test_sets = ["a"]\nslices = ["a"]',
            "key 'slices': 'a' makes names that there are already\n  call the column",
        ),
        (
            "evaluate",
            'test_sets = ["night"]\nslices = ["nigt.a"]',
            "key 'slices': 'nigt.a' is the column 'a' of the test set 'nigt', which is not measured, did you mean 'night'?\n  name",
        ),
        (
            "evaluate",
            'test_sets = ["a"]\nslices = ["a.b", "a_b"]',
            "key 'slices': 'a_b' makes names that there are already",
        ),
        ("evaluate", 'slices = ["A b"]', "key 'slices': "),
        (
            "gates",
            "min_acuracy = 0.5",
            "[tool.modelyard.gates]: unknown key 'min_acuracy', did you mean 'min_accuracy'?",
        ),
        ("gates", "min_accuracy = 50", "key 'min_accuracy': 50 is not allowed"),
        ("gates", 'max_size = "12 parsec"', "[tool.modelyard.gates]: key 'max_size': "),
        ("gates", 'max_latency_p99 = "soon"', "[tool.modelyard.gates]: key 'max_latency_p99': "),
        (
            "metrics.macro-f2",
            "",
            "unknown metric 'macro-f2', did you mean 'macro-f1'?\n  known: average-precision, macro-f1",
        ),
        ("metrics.acuracy", "", "unknown metric 'acuracy', did you mean 'accuracy'?\n"),
        ("metrics.accuracy", "", "[tool.modelyard.metrics.accuracy]: 'accuracy' is always measured\n  leave it out"),
        ("metrics.F1", 'use = "macro-f1"', "'F1' is not allowed as the name of a metric\n  allowed: lower-case"),
    ],
)
def test_a_mistake_in_what_is_measured_is_named_with_what_is_allowed(
    table: str, text: str, match: str, load: Load
) -> None:
    assert match in load.refused({f"tool.modelyard.{table}": text})
