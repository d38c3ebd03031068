from __future__ import annotations

from typing import Any

import msgspec

from modelyard.metrics import Metric
from modelyard.report.facts import Against, Interval, PartFacts, VariantFacts

OLDEST: dict[str, Any] = {
    "name": "int8",
    "steps": ["int8"],
    "samples": 9,
    "size_bytes": 3,
    "gzip_bytes": 2,
    "p50_ms": {"value": 1},
    "p99_ms": {"value": 2, "low": 1.5, "high": None},
}


def test_a_variant_of_the_oldest_version_is_read_with_what_it_has() -> None:
    one = msgspec.convert(OLDEST, VariantFacts)
    assert (one.p50_ms, one.p99_ms) == (Interval(value=1.0), Interval(value=2.0, low=1.5))
    assert (one.accuracy, one.layer_bytes, one.confusion_matrix, one.against_baseline) == (None,) * 4
    assert (one.metrics, one.parts, one.misses, one.baseline, one.training) == ((), (), (), "", "")
    assert (one.state, one.control, one.is_pareto) == ("up-to-date", False, False)
    assert msgspec.json.decode(msgspec.json.encode(one), type=VariantFacts) == one


def test_the_first_metric_is_what_the_task_counts_most_and_one_that_was_not_measured_is_none() -> None:
    metrics = tuple(Metric(name=name, better="lower", value=1.0) for name in ("mae", "size"))
    one = msgspec.convert({**OLDEST, "metrics": msgspec.to_builtins(metrics)}, VariantFacts)
    assert one.quality is one.metrics[0]
    assert (one.quality.name, one.metric("size"), one.metric("rmse")) == ("mae", metrics[1], None)


def test_a_comparison_of_an_older_version_has_no_p_value() -> None:
    older = {"differ": 3, "broken": 2, "mended": 1}
    assert msgspec.convert(older, Against) == Against(differ=3, broken=2, mended=1, p_value=None)


def test_the_fields_of_a_part_are_those_of_a_variant() -> None:
    own = {field.name for field in msgspec.structs.fields(PartFacts)} - {"output", "test_set"}
    assert own <= {field.name for field in msgspec.structs.fields(VariantFacts)}
