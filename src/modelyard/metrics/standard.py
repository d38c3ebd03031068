"""What every evaluation measures beside what its task does, in the order of the tables."""

from __future__ import annotations

from modelyard.metrics import Quantity

SIZE = Quantity(name="size", better="lower", unit="bytes", worse="larger", detail=1)
GZIP_SIZE = Quantity(
    name="gzip_size",
    better="lower",
    unit="bytes",
    title="gzip",
    suffix="after gzip",
    worse="larger",
    detail=0,
    ratio_gate="max_gzip_ratio",
)
LAYER_SIZE = Quantity(
    name="layer_size", better="lower", unit="bytes", title="layer", suffix="as a layer", worse="larger", detail=3
)
LATENCY_P50 = Quantity(
    name="latency_p50", better="lower", unit="ms", title="p50", worse="slower", steady=False, objective=False, detail=0
)
LATENCY_P99 = Quantity(name="latency_p99", better="lower", unit="ms", title="p99", worse="slower", steady=False)
LATENCY_RATIO = Quantity(
    name="latency_ratio",
    better="lower",
    unit="ratio",
    title="p50 / baseline",
    worse="slower",
    steady=False,
    detail=3,
)
STANDARD = (SIZE, GZIP_SIZE, LAYER_SIZE, LATENCY_P50, LATENCY_P99, LATENCY_RATIO)
