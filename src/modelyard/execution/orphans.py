"""Processes that a stage leaves behind: whoever forked the stage becomes their parent, and ends them.

Linux gives a process whose parent ended to the nearest ancestor that asked for such (`PR_SET_CHILD_SUBREAPER`), whatever
session or process group it has made for itself. So no `setsid` and no double fork gets a process out of sight.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from pathlib import Path

from modelyard.system import prctl

_PR_SET_CHILD_SUBREAPER = 36
_NAME_CHARACTERS = 80


def adopt() -> None:
    """Become the parent of every process below this one whose own parent ends; without effect where only init can."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> set[int]:
    """Return the children of this process's main thread, those included that have ended but were not waited for.

    Empty where `/proc` does not say: on a kernel built without it, or where it shows another PID namespace's numbers.
    """
    with contextlib.suppress(OSError):
        if os.readlink("/proc/self") == str(os.getpid()):  # noqa: PTH115 - each stage pays for it
            return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    return set()


def end(but: Collection[int] = ()) -> list[str]:
    """Kill the children of this process and all below them, and wait for their end.

    Args:
        but: children that go on.

    Returns:
        For each that was still running, its command and its id.
    """
    ended, stay = [], set(but)
    while found := children() - stay:  # again: what these leave behind comes to this process
        for pid in found:
            name = _name(pid)
            if not _kill(pid):
                stay.add(pid)
            elif name:
                ended.append(name)
    return ended


def _kill(pid: int) -> bool:
    """Kill a child and wait for its end; False if it is another user's, as one that `sudo` started is."""
    try:
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        return False
    os.waitpid(pid, 0)
    return True


def _name(pid: int) -> str:
    """Return what `pid` is for a person; empty if it has ended."""
    command = ""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    shown = command if len(command) <= _NAME_CHARACTERS else f"{command[:_NAME_CHARACTERS]}..."
    return f"{shown!r} (process {pid})" if shown else ""
