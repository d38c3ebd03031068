from __future__ import annotations

import pytest

from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.standard import LATENCY_P50, STANDARD
from modelyard.variants.evaluation import Evaluation, Latency, Measured, Ratio


def test_sizes_are_the_same_each_time_and_times_are_not() -> None:
    assert {one.name for one in STANDARD if one.steady} == {"size", "gzip_size", "layer_size"}
    assert {one.unit for one in STANDARD if one.steady} == {"bytes"}
    assert all(one.better == "lower" and one.worse in ("larger", "slower") for one in STANDARD)


def test_the_gates_are_those_that_projects_write() -> None:
    assert list(gates_of(STANDARD)) == [
        *("max_size", "max_size_ratio", "max_gzip_size", "max_gzip_ratio", "max_layer_size", "max_layer_size_ratio"),
        *("max_latency_p50", "max_latency_p99", "max_latency_ratio"),
    ]


def test_the_narrowest_table_has_the_size_of_the_download_and_the_usual_latency() -> None:
    assert [one.head for one in STANDARD if one.detail == 0] == ["gzip", "p50"]
    assert not LATENCY_P50.objective, "the ratio is compared, whose interval is narrower"


@pytest.mark.parametrize("quantity", STANDARD, ids=lambda one: one.name)
def test_each_is_measured_of_every_variant(quantity: Quantity) -> None:
    evaluation = Evaluation.of(samples=1, scores=(), details={}, size_bytes=30, gzip_bytes=20, layer_bytes=10)
    ratio = Ratio(p50=0.5, low=0.4, high=0.6, rounds=3, baseline_p50_ms=1.0)
    latency = Latency(p50_ms=1.0, p99_ms=2.0, mean_ms=1.1, samples=9, warmup=1, ratio=ratio)
    found = Measured(evaluation, latency).metrics
    values = dict(zip([one.name for one in STANDARD], (30, 20, 10, 1.0, 2.0, 0.5), strict=True))
    assert found[quantity.name].value == values[quantity.name]
    assert found[quantity.name].unit == quantity.unit
