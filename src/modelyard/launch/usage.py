"""How much memory and processor time a server takes while it is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEASURED = "measured.json"
"""The file of `check` with what is a measurement: another run may write other bytes."""


@dataclass(frozen=True)
class Usage:
    """What a server holds now, and has used since it was started.

    Attributes:
        memory_bytes: resident memory of all its processes; files that are mapped count.
        cpu_s: processor time.
    """

    memory_bytes: int
    cpu_s: float


def of_metrics(exposition: str) -> Usage:
    """Return the usage from what modelyard's server tells Prometheus, the sum over its workers."""
    values = dict(re.findall(r"^(process_\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", exposition, re.MULTILINE))
    return Usage(
        int(float(values.get("process_resident_memory_bytes", 0))), float(values.get("process_cpu_seconds_total", 0))
    )


def of_engine(stats: Mapping[str, Any]) -> Usage:
    """Return the usage from what a Docker engine says of a container; without files that could be let go.

    Source: Docker Engine API, ContainerStats.
    """
    memory = stats.get("memory_stats") or {}
    detail = memory.get("stats") or {}
    idle = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    cpu_ns = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)
    return Usage(max(0, int(memory.get("usage", 0)) - int(idle)), cpu_ns / 1e9)
