"""What Linux has beyond POSIX, and what is done where it is missing: nothing else in modelyard asks which system it is on.

macOS has no prctl, no CPU affinity, no advice on files, no file system of processes, and says some numbers in other units.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_PR_SET_PDEATHSIG = 1
_LOOK_AGAIN_S = 1.0


def refuse_windows() -> None:
    """End the process with one line where modelyard cannot run; called before anything that Windows lacks is imported.

    Raises:
        SystemExit: this is Windows.
    """
    if sys.platform == "win32":
        msg = "modelyard runs on Linux and macOS, not on Windows; there, install and run it inside WSL 2 (`wsl --install`)"
        raise SystemExit(msg)


def is_linux() -> bool:
    """Tell whether programs of a container image run here without a container."""
    return sys.platform == "linux"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends; where it cannot, a thread looks once a second."""
    if not prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        threading.Thread(target=_die_when_orphaned, args=(parent,), daemon=True).start()


def end_with_parent() -> None:
    """Have the kernel ask this process to end, with SIGTERM, when its parent does, where it can: for `preexec_fn`."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _die_when_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_AGAIN_S)
    os.kill(os.getpid(), signal.SIGKILL)


def forking_environment() -> dict[str, str]:
    """Return the variables without which a process that has loaded frameworks cannot fork: macOS ends it else.

    Source: Apple, "objc4", NSObject initialization in forked processes (macOS 10.13).
    """
    return {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} if sys.platform == "darwin" else {}


def prctl(option: int, value: int) -> bool:
    """Call Linux's `prctl`; False where there is none."""
    function = getattr(_libc(), "prctl", None)
    if function is not None:
        function(option, value)
    return function is not None


@functools.cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def usable_cpus() -> tuple[int, ...]:
    """Return the CPUs that this thread may run on, by number."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def pin(cpus: Collection[int]) -> bool:
    """Keep this thread, and those that it will start, on `cpus`; False where the system cannot or may not do that."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:  # some sandboxes forbid it
        return False
    return True


def max_rss_bytes(ru_maxrss: int) -> int:
    """Return in bytes what `getrusage` says of a largest resident set: kB on Linux, bytes on macOS."""
    return ru_maxrss if sys.platform == "darwin" else ru_maxrss * 1024


def waits() -> int:
    """Return how often this thread (macOS: this process) gave up its core to wait, for instance for the disk."""
    import resource

    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nvcsw


def read_soon(descriptor: int) -> None:
    """Tell the kernel that an open file will be read whole; without effect where it takes no advice."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)


def sync_file_system(descriptor: int) -> bool:
    """Have all files on the file system of an open file on the disk; False where only one file at a time can be.

    Raises:
        OSError: the disk cannot be written.
    """
    import ctypes

    libc = _libc()
    if not hasattr(libc, "syncfs"):
        return False
    if libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def boot() -> tuple[str, int]:
    """Return which start of the machine this is, and when that was, in ns since 1970; an empty text where it is not told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            return file.read().strip(), time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    except OSError:
        return "", 0
