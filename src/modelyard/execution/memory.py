"""How much memory a process takes of its own: without what is mapped from files, which the kernel takes back when it is needed."""

from __future__ import annotations

import contextlib
import time

_UNIT_BYTES = 1024
_LOOK_PART = 0.05
_LOOK_AT_LEAST_S, _LOOK_AT_MOST_S = 0.008, 0.1


class MemoryWatch:
    """Follows the memory of one process by looks at it while it runs.

    The kernel keeps the largest resident set itself, mapped files included. What the looks see of these is taken off, so
    that memory taken between two of them counts, too.

    Source: proc_pid_status(5): RssAnon, RssShmem, RssFile.
    """

    def __init__(self, pid: int) -> None:
        self._status = f"/proc/{pid}/status"
        self._own_bytes = self._mapped_bytes = 0
        self._began = time.monotonic()
        self._next = self._began + _LOOK_AT_LEAST_S

    def look_again_s(self) -> float:
        """Return in how many seconds the next look is due: from one to the next it is a twentieth of the process's age.

        What is mapped between two looks is not seen, so that the error is some part of what can be mapped in all. A look
        takes 30 microseconds.
        """
        return max(0.0, self._next - time.monotonic())

    def look_when_due(self) -> None:
        """Look at the process, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self.look()
            self._next = now + min(max((now - self._began) * _LOOK_PART, _LOOK_AT_LEAST_S), _LOOK_AT_MOST_S)

    def look(self) -> None:
        """Look at the process; without effect once it has ended, and on a system without `/proc`."""
        with contextlib.suppress(OSError, ValueError), open(self._status, "rb") as file:
            sizes = dict(_sizes(file.read()))
            self._own_bytes = max(self._own_bytes, sizes.get(b"RssAnon", 0) + sizes.get(b"RssShmem", 0))
            self._mapped_bytes = max(self._mapped_bytes, sizes.get(b"RssFile", 0))

    def peak_bytes(self, max_rss_bytes: int) -> int:
        """Return the most memory of its own that the process took.

        Args:
            max_rss_bytes: what the kernel says of the largest resident set of it, and of the processes that it waited for.
        """
        return max(self._own_bytes, max_rss_bytes - self._mapped_bytes)


def _sizes(status: bytes) -> list[tuple[bytes, int]]:
    lines = (line.split() for line in status.splitlines() if line.startswith(b"Rss"))
    return [(name.rstrip(b":"), int(size) * _UNIT_BYTES) for name, size, *_ in lines]
