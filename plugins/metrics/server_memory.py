"""Metric `server-memory`: the most memory that the model's server has held while it was asked."""

from __future__ import annotations

import itertools
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard import hookimpl
from modelyard.asking import count, rows_of
from modelyard.errors import ToolError
from modelyard.files.locks import hold
from modelyard.launch.local_server import serving
from modelyard.metrics.intervals import quantile_interval
from modelyard.params import PositiveFloat, PositiveInt
from modelyard.system import is_linux

if TYPE_CHECKING:
    from modelyard.asking import Samples
    from modelyard.contexts import MetricContext
    from modelyard.hookspecs import RegisterMetric
    from modelyard.launch.local_server import LocalServer


def server_memory(
    context: MetricContext,
    *,
    starts: PositiveInt = 6,
    seconds: PositiveFloat = 0.5,
    clients: PositiveInt = 4,
    samples: PositiveInt = 1,
) -> tuple[float, float | None, float | None]:
    """Measure the most memory that the runtime's own server holds with this model, in bytes: the median of some starts.

    The server runs in a process of its own with one worker, and is asked over HTTP. Pages of files that are mapped count, as
    they do towards the limit of a container. What differs from start to start makes the interval: below six starts there
    is none.

    Args:
        context: the model and the test split.
        starts: how often a server is started anew.
        seconds: for how long each is asked.
        clients: how many ask at once.
        samples: how many samples a request has.

    Raises:
        ToolError: the system does not tell the peak of a process, or the runtime has no server outside of its image.
    """
    if not is_linux():
        msg = "metric server-memory: only Linux tells the most memory that a process has held\n  leave [tool.modelyard.metrics.server-memory] out, or evaluate on Linux"
        raise ToolError(msg)
    raw = context.dataset.raw("test")
    with hold(context.cache / "latency.lock", "the machine", context.log, verb="is measured by"):
        peaks = [_peak(context, raw, seconds, clients, samples) for _ in range(starts)]
    return statistics.median(peaks), *quantile_interval(peaks, 0.5)


def _peak(context: MetricContext, raw: Samples, seconds: float, clients: int, samples: int) -> int:
    """Return the peak of one server, in bytes."""
    with serving(context.runtime, context.model) as server:
        with ThreadPoolExecutor(clients) as pool:
            end = time.monotonic() + seconds
            for done in [pool.submit(_ask, server, raw, first, samples, end) for first in range(clients)]:
                done.result()
        return _peak_of(server.pid)


def _ask(server: LocalServer, raw: Samples, first: int, samples: int, end: float) -> None:
    """Ask for one part of the samples after the other until `end`, at least for one."""
    total = count(raw)
    for start in itertools.count(first * samples, samples):
        row = start % total
        server.ask(rows_of(raw, slice(row, row + samples)))
        if time.monotonic() > end:
            return


def _peak_of(pid: int) -> int:
    """Return the largest resident memory that a process has had, in bytes.

    Source: proc_pid_status(5), `VmHWM`, in kibibytes.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (kibibytes,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(kibibytes) * 1024


@hookimpl
def modelyard_register_metrics(register: RegisterMetric) -> None:
    """Register the metric `server-memory`."""
    register("server-memory", server_memory, better="lower", unit="bytes", steady=False, starts_server=True)
