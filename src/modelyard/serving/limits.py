"""How much one request, and all of them, may take: what follows from the model's signature and from the memory.

A body is bounded by what the largest batch can be written in, and the JSON in it by the memory that its values take as
Python's objects, which is counted before they are made.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import RequestError
from .shares import MIB, PARSED_BYTES, PARSING

if TYPE_CHECKING:
    from collections.abc import Collection

    from .tensors import TensorSpec

SLACK_BYTES = MIB
"""What a body may hold beside its values: names, an id, parameters, indentation."""
GZIP_RATIO = 64
"""How many times its size a compressed body may grow beyond the first MiB: digits take a third to a twentieth."""
FREELY_BYTES = 64 * 1024
"""Below this size nothing is counted: the worst of it takes 2 MB."""
_VARINT_BYTES = 10
"""What a number takes at most in protobuf: a negative integer."""
UNLIMITED_BYTES = 1024 * MIB
"""The memory to live on where nothing limits it."""

# What CPython 3.11 takes for each, in bytes, measured with a margin: a number and its places in lists while they grow and
# are flattened, a list of one, a dict with one key, a key, half a string. The text itself is there three times at most.
_COSTS = {",": 56, "[": 104, "{": 240, ":": 120, '"': 30}
_COPIES = 3


@dataclass(frozen=True)
class Limits:
    """The bounds of one request's body, in bytes.

    Attributes:
        body: its size as sent, and after decompression.
        values: what the values of a JSON text may take in memory.
        message: the size of a message of gRPC, as sent.
    """

    body: int
    values: int = PARSED_BYTES
    message: int = 4 * MIB

    @classmethod
    def of(cls, specs: Collection[TensorSpec], max_batch: int, ceiling: int, values: int) -> Limits:
        """Return the limits for batches of `specs`, of at most `ceiling` bytes whatever they hold."""
        if not all(spec.is_fixed and not spec.is_text for spec in specs):
            return cls(ceiling, values, ceiling)
        message = max_batch * sum(math.prod(spec.shape) for spec in specs) * _VARINT_BYTES + SLACK_BYTES
        body = max_batch * sum(map(sample_text_bytes, specs)) + SLACK_BYTES
        return cls(min(ceiling, body), values, min(ceiling, message))

    def inflated(self, sent: int) -> int:
        """Return how large a body of `sent` bytes may be after decompression, in bytes."""
        return min(self.body, max(MIB, GZIP_RATIO * sent))

    def check_text(self, data: bytes | bytearray | memoryview) -> None:
        """Refuse a JSON text whose values would take too much memory.

        Raises:
            RequestError: 413, with a better way to say the same.
        """
        if len(data) <= FREELY_BYTES:
            return
        characters = np.frombuffer(data, np.uint8)
        counts = {one: int(np.count_nonzero(characters == ord(one))) for one in _COSTS}
        needs = _COPIES * len(data) + sum(cost * counts[one] for one, cost in _COSTS.items())
        if needs > self.values:
            message = f"the JSON's values would take {needs // MIB} MiB of memory; at most {self.values // MIB} MiB"
            raise RequestError(413, f"{message} are given to a request: send fewer samples, or binary ones")


def sample_text_bytes(spec: TensorSpec) -> int:
    """Return the bytes that one sample of `spec` takes as JSON text at most, indented and in lists of one value."""
    if spec.dtype.kind == "f":
        digits = 25  # -1.2345678901234567e-100
    elif spec.dtype.kind == "b":
        digits = 5
    else:
        limits = np.iinfo(spec.dtype)
        digits = max(len(str(limits.min)), len(str(limits.max)))
    return int(math.prod(spec.shape)) * (digits + 2) * 2


def values_limit(free_bytes: int, cpus: float) -> int:
    """Return what the values of one JSON text may take, in bytes: a share of the memory, and what is parsed soon enough."""
    return int(min(PARSING * free_bytes, PARSED_BYTES * min(1.0, cpus)))


def memory_limit() -> int | None:
    """Return the bytes of memory that this process's control group may use; None: it is not limited.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, and cgroup-v1/memory.rst.
    """
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _control(file)
        if text.isdecimal() and int(text) < 1 << 50:
            return int(text)
    return None


def cpu_limit() -> float:
    """Return how many processors this process may use: its control group's quota, or those that it may run on.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, and scheduler/sched-bwc.rst.
    """
    there = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota, period = (*_control("cpu.max").split(), "", "")[:2]
    if not quota:
        quota, period = _control("cpu/cpu.cfs_quota_us"), _control("cpu/cpu.cfs_period_us")
    return min(there, int(quota) / int(period)) if quota.isdecimal() and period.isdecimal() else there


def resident_bytes() -> int:
    """Return the memory that this process holds now, in bytes; the most that it has held where the system tells no more.

    Source: Linux, proc_pid_statm(5); macOS, getrusage(2), whose `ru_maxrss` is in bytes there.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _control(file: str) -> str:
    """Return what a control group's file says: `memory.max`, or `memory/memory.limit_in_bytes` of version 1.

    In a container the group is the root of what is mounted; elsewhere `/proc/self/cgroup` says which it is.
    """
    controller, _, name = file.rpartition("/")
    for folder in (_group(controller), "."):
        try:
            return (Path("/sys/fs/cgroup", controller) / folder / name).read_text().strip()
        except OSError:
            continue
    return ""


def _group(controller: str) -> str:
    """Return the path of this process's group below the mount of `controller`; an empty name is version 2's."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "."
    found = [path for _, names, path in (line.split(":", 2) for line in lines) if controller in names.split(",")]
    return found[0].lstrip("/") if found else "."
