"""How much memory a container of modelyard's server needs: what was measured, and what its bodies may take.

The server keeps within its memory by refusing what does not fit (see `modelyard.serving.limits`). A container that is given
too little refuses what its settings allow, with "try again later", or ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.serving.shares import HOLDING, LEAST_BYTES, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADROOM = 1.5
"""How many times what was measured a worker is given: it was asked a few hundred times, by few clients."""
USUAL_BYTES = 256 * MIB
"""What a container is given unless it needs more."""
SMALL_BYTES = 56 * MIB
"""What a worker with a model of a few kilobytes takes: 52 MiB, measured in a container with LiteRT, 54 with ONNX Runtime."""
_COPIES = 2
"""How often a model is in memory at most: as its file, and as the runtime has prepared it."""
_WATCHER_BYTES = 32 * MIB
"""What the process that watches several workers takes: 24 MiB, measured."""


@dataclass(frozen=True)
class Footprint:
    """What a server takes.

    Attributes:
        worker_bytes: the memory of one worker, headroom included.
        body_bytes: the largest body that it takes.
        workers: how many workers there are.
    """

    worker_bytes: int
    body_bytes: int
    workers: int = 1

    @property
    def least_bytes(self) -> int:
        """The memory below which the largest body is never taken, or the container ends."""
        free = max(LEAST_BYTES, math.ceil(self.body_bytes / HOLDING))
        return self.workers * (self.worker_bytes + free) + (_WATCHER_BYTES if self.workers > 1 else 0)

    def problem(self, memory_bytes: int) -> str:
        """Say why `memory_bytes` are too little; an empty text if they are not."""
        if memory_bytes >= self.least_bytes:
            return ""
        workers = f"{self.workers} workers" if self.workers > 1 else "a worker"
        return (
            f"{memory_bytes // MIB}Mi is too little for {workers} of {self.worker_bytes // MIB}Mi "
            f"and bodies of {self.body_bytes} bytes"
        )

    @property
    def remedy(self) -> str:
        """What to do about it: the memory that is enough, and the body that fits with what there is."""
        return f"give {math.ceil(self.least_bytes / MIB)}Mi or more, or allow smaller bodies (max_body_bytes) or fewer workers"


def worker_bytes(measured_bytes: int, model: Mapping[str, Any]) -> int:
    """Return what one worker is given.

    Args:
        measured_bytes: what `check` measured, with headroom; 0: it started no server.
        model: the model's facts; its size counts where nothing was measured.
    """
    return measured_bytes or with_headroom(SMALL_BYTES + _COPIES * int(model.get("size_bytes", 0)))


def with_headroom(measured_bytes: int) -> int:
    """Return `measured_bytes` times the headroom, in a step: another run, which measures a little more, gives the same."""
    return step(math.ceil(measured_bytes * HEADROOM))


def step(least_bytes: int) -> int:
    """Return the least of 32, 48, 64, 96, 128, 192, 256 ... MiB that is not below `least_bytes`."""
    size = 32 * MIB
    while size < least_bytes:
        size = size * 3 // 2 if (size & (size - 1)) == 0 else size * 4 // 3
    return size


def workers_of(settings: Mapping[str, str], cpus: float) -> int:
    """Return how many workers the server's variables ask for.

    Args:
        settings: the variables.
        cpus: the processors that it may use, for `auto`.
    """
    told, threads = (settings.get(f"MODELYARD_{name}", "1") for name in ("WORKERS", "THREADS"))
    if told == "auto":
        return max(1, int(cpus / int(threads))) if threads.isdecimal() and int(threads) else 1
    return int(told) if told.isdecimal() and int(told) else 1


def processes(workers: int | str, threads: int, cpus: float) -> dict[str, str]:
    """Return the server's variables for its workers, and the threads that each predicts with.

    Args:
        workers: how many, or `auto`: as many as `cpus` have room for.
        threads: how many; 0: what a worker's share of `cpus` has room for, and 1 with `auto`.
        cpus: the processors that the server may use.
    """
    share = 1 if workers == "auto" else max(1, math.ceil(cpus / int(workers)))
    found = {} if workers == 1 else {"MODELYARD_WORKERS": str(workers)}
    return {**found, "MODELYARD_THREADS": str(threads or share)}


def usual_bytes(footprint: Footprint) -> int:
    """Return the memory that a container is given if nobody says how much."""
    return max(USUAL_BYTES, step(footprint.least_bytes))
