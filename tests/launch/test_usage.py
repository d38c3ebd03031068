from __future__ import annotations

import pytest

from modelyard.launch.usage import Usage, of_engine, of_metrics
from modelyard.serving.metrics import Board, Metrics


def test_the_servers_own_metrics_are_read() -> None:
    metrics = Metrics(Board(1), 0, {"name": "net", "version": "1"})
    usage = of_metrics(metrics.exposition().decode())
    assert usage.memory_bytes > 10**6
    assert usage.cpu_s > 0


@pytest.mark.parametrize(
    ("stats", "usage"),
    [
        (
            {
                "memory_stats": {"usage": 100, "stats": {"inactive_file": 40}},
                "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
            },
            Usage(60, 2.5),
        ),
        ({"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30, "inactive_file": 1}}}, Usage(70, 0.0)),
        ({"memory_stats": {}}, Usage(0, 0.0)),
    ],
    ids=["cgroup v2", "cgroup v1", "ended"],
)
def test_what_an_engine_says_is_read(stats: dict[str, object], usage: Usage) -> None:
    assert of_engine(stats) == usage
