"""A build without what macOS lacks: no Mac is at hand, so it is taken away from every Python that the build starts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tests.front_door.builds import build

if TYPE_CHECKING:
    from pathlib import Path

SITECUSTOMIZE = '''
import builtins, ctypes, io, os, resource

for name in ("pipe2", "sched_getaffinity", "sched_setaffinity", "posix_fadvise", "posix_fallocate", "memfd_create"):
    delattr(os, name)
del resource.RUSAGE_THREAD
LIBC = ctypes.CDLL


class Libc(LIBC):
    """The C library, without the functions that only Linux has."""

    def __getattr__(self, name):
        if name in ("prctl", "syncfs"):
            raise AttributeError(name)
        return super().__getattr__(name)


def without_proc(function):
    def call(path, *rest, **named):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return function(path, *rest, **named)

    return call


ctypes.CDLL = Libc
builtins.open = io.open = without_proc(io.open)
for name in ("open", "stat", "readlink", "listdir", "scandir"):
    setattr(os, name, without_proc(getattr(os, name)))
'''


def test_a_build_without_what_linux_alone_has(new_toy: Path, tmp_path: Path) -> None:
    (tmp_path / "macos").mkdir()
    (tmp_path / "macos" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    before = os.environ.get("PYTHONPATH")
    path = str(tmp_path / "macos") + (f"{os.pathsep}{before}" if before else "")

    done = build(new_toy, env={"PYTHONPATH": path})
    again = build(new_toy, env={"PYTHONPATH": path})

    assert done.code == 0, done.output
    assert set(done.stages.values()) == {"built"}
    assert set(again.stages.values()) == {"fresh"}, again.output
    host = json.loads((new_toy / "artifacts/evaluate/plain/latency.json").read_text())["host"]
    assert host["cpus"] == []
    assert json.loads((new_toy / "artifacts/train/model.build/stage.json").read_text())["peak_memory_bytes"] > 10**6
