"""Reports without a build: written down by hand, or another one's with one thing changed."""

from __future__ import annotations

from typing import Any

import msgspec

from modelyard.metrics import Metric
from modelyard.report.facts import Interval, ProjectFacts, Report, VariantFacts
from tests.shared import there


def variant(name: str, *metrics: Metric, **more: Any) -> VariantFacts:
    """Return a variant of which this was measured."""
    usual: dict[str, Any] = {"steps": (), "samples": 100, "size_bytes": 2000, "gzip_bytes": 1000}
    usual |= {"p50_ms": Interval(value=1.0), "p99_ms": Interval(value=2.0), "baseline": "float32"}
    return VariantFacts(name=name, metrics=metrics, **usual | more)


def report_of(*variants: VariantFacts, **more: Any) -> Report:
    """Return a report on these variants and nothing else."""
    usual: dict[str, Any] = {"stages": (), "dataset": None, "baseline": "float32", "rule": "smallest"}
    usual |= {"shipped": None, "gates": {}, "image": None}
    usual["project"] = ProjectFacts(name="shop", version="1", commit="", clean=None)
    return Report(variants=variants, **usual | more)


def change(report: Report, variant: str, **fields: Any) -> Report:
    """Return the report with other fields of one variant."""
    variants = [msgspec.structs.replace(v, **fields) if v.name == variant else v for v in report.variants]
    return msgspec.structs.replace(report, variants=tuple(variants))


def measure(report: Report, variant: str, name: str, **fields: Any) -> Report:
    """Return the report with other fields of one metric of a variant."""
    before = there(report.variant(variant)).metrics
    metrics = [msgspec.structs.replace(m, **fields) if m.name == name else m for m in before]
    return change(report, variant, metrics=tuple(metrics))


def without(report: Report, variant: str, name: str) -> Report:
    """Return the report without a metric of a variant."""
    return change(report, variant, metrics=tuple(m for m in there(report.variant(variant)).metrics if m.name != name))


def row(text: str, *cells: str) -> list[str]:
    """Return the cells of the one row of a table that has all of `cells`."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return next(found for found in rows if set(cells) <= set(found))
