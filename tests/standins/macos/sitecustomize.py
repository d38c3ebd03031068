"""Takes away what macOS lacks, from every Python whose path begins with this folder: no Mac is at hand."""

from __future__ import annotations

import builtins
import ctypes
import io
import os
import resource
from collections.abc import Callable
from typing import Any

for name in ("pipe2", "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "memfd_create"):
    delattr(os, name)
del resource.RUSAGE_THREAD
LIBC = ctypes.CDLL


class Libc(LIBC):
    """The C library, without the functions that only Linux has."""

    def __getattr__(self, name: str) -> Any:
        if name in ("prctl", "syncfs"):
            raise AttributeError(name)
        return super().__getattr__(name)


def without_proc(function: Any) -> Callable[..., Any]:
    def call(path: Any, *rest: Any, **named: Any) -> Any:
        if str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return function(path, *rest, **named)

    return call


ctypes.CDLL = Libc  # type: ignore[misc]  # a class in the place of another is what is wanted here
builtins.open = io.open = without_proc(io.open)
for name in ("open", "stat", "readlink", "listdir", "scandir"):
    setattr(os, name, without_proc(getattr(os, name)))
