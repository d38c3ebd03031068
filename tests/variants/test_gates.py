from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks import QUANTITIES, evaluation, parse_gates

from modelyard.config import tables as settings
from modelyard.errors import ConfigError
from modelyard.metrics.gating import gates_of
from modelyard.variants.evaluation import PER_SAMPLE, Latency, Measured, Ratio
from modelyard.variants.gates import Judgement


def test_bounds_are_read_with_their_units() -> None:
    read = parse_gates({"min_accuracy": 1, "max_size": "1 MiB", "max_latency_p99": "0.2 s", "max_accuracy_drop": None})
    assert read.told() == {
        "min_accuracy": 1.0,
        "max_size_bytes": 2**20,
        "max_latency_p99_ms": 200.0,
        "undecided": "measured",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_sise": 3}, r"\.gates\]: unknown gate 'max_sise', did you mean 'max_size'\?\n  allowed: "),
        ({"max_size": "3 mb"}, r"key 'max_size': '3 mb': unknown unit 'mb', did you mean 'MB'\?"),
        ({"max_latency_p99": "fast"}, r"key 'max_latency_p99': 'fast' cannot be read"),
        ({"min_accuracy": 90}, r"key 'min_accuracy': 90 is not allowed\n  allowed: a fraction from 0 to 1"),
        ({"min_accuracy": 1.1}, r"key 'min_accuracy': 1.1 is not allowed"),
        ({"min_accuracy": True}, r"key 'min_accuracy': True is not allowed"),
        ({"max_size_ratio": float("inf")}, r"key 'max_size_ratio': inf is not allowed"),
        ({"max_size_ratio": True}, r"key 'max_size_ratio': True is not allowed"),
        ({"max_size_ratio": 0}, r"key 'max_size_ratio': 0 is not allowed\n  allowed: a number above 0"),
        ({"max_latency_ratio": float("nan")}, r"key 'max_latency_ratio': nan is not allowed"),
        ({"undecided": "maybe"}, r"key 'undecided': 'maybe' is not allowed\n  allowed: 'measured', 'pass' or 'fail'"),
        ({"max_accuracy_drop": "2%"}, r"key 'max_accuracy_drop': '2%' is not allowed"),
    ],
)
def test_a_gate_that_cannot_be_read_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_gates(values)


def test_every_gate_of_the_configuration_can_be_judged() -> None:
    configured = {*settings.parameters_of_table("gates"), *settings.gate_parameters(QUANTITIES)}
    configured -= {"equal_training"}  # the plan's
    assert configured == {*gates_of(QUANTITIES), "undecided"}
    values = {key: 0.5 for key in configured if key != "undecided"}
    values |= {key: 1000 for key in values if key.endswith("size")}
    assert len(parse_gates(values).bounds) == len(configured) - 1


def measured(
    *,
    accuracy: float = 0.9,
    per_class: tuple[float | None, ...] = (0.9, 0.9),
    size: int = 100,
    gzip: int = 50,
    **late: Any,
) -> Measured:
    return Measured(
        evaluation(accuracy=accuracy, per_class=per_class, names=("cat", "dog"), size=size, gzip=gzip),
        Latency(**{"p50_ms": 1.0, "p99_ms": 2.0, "mean_ms": 1.1, "samples": 9, "warmup": 1} | late),
    )


def ratio(low: float | None, p50: float, high: float | None) -> Ratio:
    return Ratio(p50=p50, low=low, high=high, rounds=40, baseline_p50_ms=1.0)


BASELINE = measured()


@pytest.mark.parametrize(
    ("variant", "gate", "at", "beyond", "text"),
    [
        ({"per_class": (0.9, 0.7)}, "min_class_accuracy", 0.7, 0.71, "accuracy 0.7000 on 'dog' is below 0.71"),
        ({"accuracy": 0.8}, "max_accuracy_drop", 0.1, 0.09, "0.1000 below the baseline is more than 0.09"),
        (
            {"per_class": (0.8, 0.95)},
            "max_class_accuracy_drop",
            0.1,
            0.09,
            "on 'cat' 0.1000 below the baseline is more than 0.09",
        ),
        ({"size": 1200}, "max_size", 1200, 1199, "1,200 bytes are more than 1,199"),
        ({"size": 80}, "max_size_ratio", 0.8, 0.79, "80 bytes are 0.800 of the baseline's, more than 0.79"),
        ({"gzip": 40}, "max_gzip_size", 40, 39, "40 bytes after gzip are more than 39"),
        ({"gzip": 40}, "max_gzip_ratio", 0.8, 0.79, "40 bytes after gzip are 0.800 of the baseline's, more than 0.79"),
    ],
)
def test_a_bound_is_met_at_its_value_and_missed_beyond_it(
    variant: dict[str, Any], gate: str, at: float, beyond: float, text: str
) -> None:
    one = measured(**variant)
    assert parse_gates({gate: at}).judge(one, BASELINE).misses == ()
    assert parse_gates({gate: beyond}).judge(one, BASELINE).misses == (f"{gate}: {text}",)


@pytest.mark.parametrize(
    ("gate", "late"),
    [
        ("max_latency_p50", {"p50_ms": 5.0, "p50_low_ms": 4.0, "p50_high_ms": 6.0}),
        ("max_latency_p99", {"p99_ms": 5.0, "p99_low_ms": 4.0, "p99_high_ms": 6.0}),
        ("max_latency_ratio", {"ratio": ratio(4.0, 5.0, 6.0)}),
    ],
)
def test_a_bound_on_latency_within_the_interval_is_undecided_and_passes_or_fails_as_set(
    gate: str, late: dict[str, Any]
) -> None:
    variant = measured(**late)

    def judge(bound: float, undecided: str) -> tuple[int, int]:
        found = parse_gates({gate: bound, "undecided": undecided}).judge(variant, BASELINE)
        assert all(text.startswith(f"{gate}: 5.000") and "(4.000 to 6.000)" in text for text in found.misses)
        return len(found.misses), len(found.undecided)

    assert [judge(bound, "measured") for bound in (3.9, 4.0, 4.9, 5.0, 5.5, 6.0)] == [
        (1, 0), (1, 1), (1, 1), (0, 1), (0, 1), (0, 0),
    ]  # fmt: skip
    assert [judge(bound, "pass") for bound in (3.9, 4.0, 5.5, 6.0)] == [(1, 0), (0, 1), (0, 1), (0, 0)]
    assert [judge(bound, "fail") for bound in (3.9, 4.0, 5.5, 6.0)] == [(1, 0), (1, 1), (1, 1), (0, 0)]


def test_a_bound_on_accuracy_within_its_interval_is_undecided_and_passes_or_fails_as_set() -> None:
    def judge(bound: float, undecided: str = "measured") -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = parse_gates({"min_accuracy": bound, "undecided": undecided}).judge(measured(accuracy=0.8), BASELINE)
        return found.misses, found.undecided

    assert judge(0.71) == ((), ())  # below the interval of 80 of 100
    assert judge(0.87) == (("min_accuracy: accuracy 0.8000 (0.7112 to 0.8666) is below 0.87",), ())
    near = "min_accuracy: accuracy 0.8000 (0.7112 to 0.8666) may be more or less than"
    assert judge(0.8) == ((), (f"{near} 0.8: undecided, passes as measured",))
    told = (f"{near} 0.81: undecided, fails as measured",)
    assert judge(0.81) == (told, told)
    assert judge(0.81, "pass") == ((), (f"{near} 0.81: undecided, passes",))
    assert judge(0.8, "fail") == ((f"{near} 0.8: undecided, fails",),) * 2


def test_a_drop_is_judged_by_the_samples_that_only_one_of_the_two_labels_rightly(tmp_path: Path) -> None:
    def on_disk(name: str, wrong: set[int]) -> Measured:
        right = np.array([row not in wrong for row in range(1000)])
        (tmp_path / name / PER_SAMPLE).mkdir(parents=True)
        np.save(tmp_path / name / PER_SAMPLE / "accuracy.npy", right)
        one = measured(accuracy=float(right.mean()))
        return Measured(one.evaluation, one.latency, tmp_path / name)

    baseline, near = on_disk("baseline", set(range(50))), on_disk("near", set(range(62)))
    apart = on_disk("apart", set(range(500, 562)))
    bounds = parse_gates({"max_accuracy_drop": 0.025})
    assert bounds.judge(near, baseline) == Judgement(), "the same 12 points, but only 12 samples differ"
    (text,) = bounds.judge(apart, baseline).undecided
    assert text.startswith("max_accuracy_drop: 0.0120 below the baseline (-0.0")
    assert text.endswith(" may be more or less than 0.025: undecided, passes as measured")
    (text,) = parse_gates({"max_accuracy_drop": 0.001}).judge(near, baseline).misses
    assert text.endswith(" is more than 0.001"), "that some of it is lost is sure"
    assert parse_gates({"max_accuracy_drop": 0}).judge(baseline, baseline) == Judgement(), "it is itself"


def test_too_few_calls_for_an_end_of_the_interval_leave_a_gate_undecided() -> None:
    variant = measured(p99_ms=5.0, p99_low_ms=None, p99_high_ms=None)
    for bound, outcome in ((1, "fails"), (100, "passes")):
        found = parse_gates({"max_latency_p99": bound}).judge(variant, BASELINE)
        told = (
            f"max_latency_p99: 5.000 ms (0 to any) may be more or less than {bound}: undecided, {outcome} as measured"
        )
        assert found.undecided == (told,)
        assert found.misses == ((told,) if outcome == "fails" else ())


def test_the_baseline_takes_as_long_as_itself() -> None:
    assert parse_gates({"max_latency_ratio": 1}).judge(BASELINE, BASELINE).misses == ()
    missed = parse_gates({"max_latency_ratio": 0.9}).judge(BASELINE, BASELINE).misses
    assert missed == ("max_latency_ratio: 1.000 of the baseline's (1.000 to 1.000) is more than 0.9",)


def test_accuracy_is_compared_with_the_baseline_that_was_trained_as_long_and_size_with_the_baseline() -> None:
    bounds = parse_gates({"max_accuracy_drop": 0.02, "max_class_accuracy_drop": 0.02, "max_size_ratio": 0.9})
    tuned = measured(accuracy=0.95, per_class=(0.95, 0.95), size=1000)
    found = bounds.judge(measured(), BASELINE, tuned)
    assert [text.partition(":")[0] for text in found.misses] == [
        "max_accuracy_drop",
        "max_class_accuracy_drop",
        "max_size_ratio",
    ]


def test_a_class_without_samples_has_no_part_in_it() -> None:
    bounds = parse_gates({"max_class_accuracy_drop": 0, "min_class_accuracy": 0.9})
    one = measured(per_class=(None, 0.9))
    assert bounds.judge(one, one).misses == ()
