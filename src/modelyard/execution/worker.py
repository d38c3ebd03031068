"""The processes that stages are forked from, so that nothing is imported twice.

    worker      imports the framework that stages need, once a build
      project   forked from it: has loaded the project; replaced when a source file of the project changes
        stage   forked from that: runs one stage and ends

Started by `modelyard.execution.pool` as `python -m modelyard.execution.worker MODULE...`. A request is a line on stdin:
the path of a JSON file (`protocol.Request`), and `new` behind a tab to have the project loaded anew. Events are lines of
JSON on stdout; a project process that notices that its sources changed answers `stale` and is asked again with `new`.
Each stage has a folder of its own for temporary files, of which nothing stays when it has ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import BinaryIO

from modelyard.code.imports import counts_by_version
from modelyard.code.lookups import Mark, mark_of
from modelyard.execution import orphans
from modelyard.execution.child import emit, run_child
from modelyard.execution.loaded import Loaded
from modelyard.execution.memory import MemoryWatch
from modelyard.execution.protocol import Request
from modelyard.execution.watching import Watch
from modelyard.files.digests import RACY_NS
from modelyard.files.json import decode, read_bytes
from modelyard.system import die_with_parent, max_rss_bytes

_READ_BYTES = 2**16


@dataclass(frozen=True)
class Child:
    """A process that runs a stage: the number of its request, the folder of its temporary files, and its memory."""

    number: int
    temporary: Path
    memory: MemoryWatch


class Server:
    """Reads lines and forks; hears of children that end."""

    def __init__(
        self, lines: BinaryIO, on_line: Callable[[str], None], on_end: Callable[[int, int, int], None]
    ) -> None:
        self._lines, self._on_line, self._on_end = lines, on_line, on_end
        self._begun = b""

    def run(self, children: Mapping[int, Child] = MappingProxyType({})) -> None:
        """Serve until the lines end, and then until there are no `children`; look at their memory meanwhile."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with selectors.DefaultSelector() as selector:
            selector.register(self._lines, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while selector.get_map().get(self._lines) or children:
                self._step(selector, wake_read, min((c.memory.look_again_s() for c in children.values()), default=None))
                for child in children.values():
                    child.memory.look_when_due()

    def _step(self, selector: selectors.BaseSelector, wake: int, timeout_s: float | None) -> None:
        for key, _ in selector.select(timeout_s):
            if key.fileobj is self._lines:
                if not self._read_lines():
                    selector.unregister(self._lines)
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 512)
        self._reap()

    def _read_lines(self) -> bool:
        """Take what is there to read, and serve the lines that are whole; False at its end. `readline` takes it byte by byte."""
        data = os.read(self._lines.fileno(), _READ_BYTES)
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode())
        return bool(data)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._on_end(pid, os.waitstatus_to_exitcode(status), max_rss_bytes(usage.ru_maxrss))


def fork(child: Callable[[], None]) -> int:
    """Fork a process that runs `child` and ends, that dies with this one and is given what it leaves behind; return its id."""
    parent = os.getpid()
    gc.freeze()  # a collection in the child would else write to, and so copy, every page with an object of ours
    pid = os.fork()
    if pid:
        return pid
    try:
        die_with_parent(parent)
        orphans.adopt()
        if os.getppid() == parent:  # else the parent ended before the line above
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            child()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


class Worker:
    """The outer process: hands each request to the project process, and starts that anew when asked to."""

    def __init__(self, requests: BinaryIO, events: int, temporary: Path) -> None:
        self._requests, self._events, self._temporary = requests, events, temporary
        self._inner: tuple[int, BinaryIO] | None = None
        self._loaded: object = None  # what the inner process was started for
        self._given: dict[int, set[int]] = {}
        self._own = orphans.children()  # what a framework started when it was imported

    def run(self) -> None:
        """Serve until stdin is closed, which also happens when the `doit` process dies; then end all below."""
        Server(self._requests, self._on_line, self._on_end).run()
        for pid in self._given:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        orphans.end()

    def _on_line(self, line: str) -> None:
        path, _, how = line.partition("\t")
        request = decode(read_bytes(path), Request)
        if self._inner is None or how or self._loaded != (request.project, request.overrides):
            self._replace(request)
        assert self._inner is not None
        pid, pipe = self._inner
        self._given[pid].add(request.id)
        with contextlib.suppress(BrokenPipeError):  # it is gone; `_on_end` answers for it
            pipe.write(f"{path}\n".encode())

    def _replace(self, request: Request) -> None:
        if self._inner is not None:
            self._inner[1].close()  # it ends when its stages have
        reader, writer = os.pipe()

        def child() -> None:
            self._requests.close()
            os.close(writer)
            ProjectProcess(request, os.fdopen(reader, "rb", buffering=0), self._events, self._temporary).run()
            os._exit(0)

        pid = fork(child)
        os.close(reader)
        self._loaded = request.project, request.overrides
        self._inner = pid, os.fdopen(writer, "wb", buffering=0)
        self._given[pid] = set()

    def _on_end(self, pid: int, code: int, _: int) -> None:
        given = self._given.pop(pid, None)
        if given is None:
            return  # left behind by a project process that was killed
        if self._inner is not None and self._inner[0] == pid:
            self._inner = None
        if code != 0:
            orphans.end(self._own | self._given.keys())
            for number in given:  # answered already, unless the process was killed
                emit(self._events, {"id": number, "exit": code})


class ProjectProcess:
    """The inner process: has the project loaded and forks a child for every request."""

    def __init__(self, request: Request, paths: BinaryIO, events: int, temporary: Path) -> None:
        self._paths, self._events, self._temporary = paths, events, temporary
        self._children: dict[int, Child] = {}
        self._emptied: list[Path] = []  # folders for temporary files that are used again: making one takes a while
        os.chdir(request.project)
        sys.path.insert(0, request.project)
        began = _settled(Path(request.project))
        self._watch = Watch(request.project)
        self._loaded = Loaded(request)
        self._watch.rest()
        self._sources = _stamps(Path(request.project))
        self._own_sources = {f: m for f, m in self._sources.items() if not self._watch.territory.is_modelyard(f)}
        self._is_sound = not self._loaded.failed and _all_before(self._sources, began)
        self._is_first = True
        self._own = orphans.children()  # what a plugin started when it was loaded

    def run(self) -> None:
        """Serve until the outer process has no more requests for this one, and the stages have ended."""
        Server(self._paths, self._on_line, self._on_end).run(self._children)

    def _on_line(self, path: str) -> None:
        request = decode(read_bytes(path), Request)
        failed = self._is_first and self._loaded.failed
        self._is_first = False
        if not failed and not self._is_current(request):
            emit(self._events, {"id": request.id, "stale": True})
            return

        loaded = self._loaded.asked_for(request)
        temporary = self._emptied.pop() if self._emptied else self._temporary / str(request.id)

        def child() -> None:
            os.setsid()
            self._paths.close()
            gc.enable()
            run_child(request, loaded, self._watch, self._events, temporary)

        pid = fork(child)
        self._children[pid] = Child(request.id, temporary, MemoryWatch(pid))

    def _is_current(self, request: Request) -> bool:
        """Tell whether a stage that runs with what is loaded here runs with what is on the disk.

        What its key was just made of was looked at for that. Else the project's files count, but modelyard's own do not.
        """
        key = request.sources
        stamps = {**self._own_sources, **{path: self._sources[path] for path in key.keys() & self._sources.keys()}}
        return self._is_sound and all(
            key.get(path) == stamp or mark_of(path) == stamp for path, stamp in stamps.items()
        )

    def _on_end(self, pid: int, code: int, largest_bytes: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            return  # left behind by a stage, and ended by itself
        left = orphans.end(self._own | self._children.keys())
        if left:
            emit(self._events, {"id": child.number, "left": len(left), "note": ", ".join(left)})
        if _is_empty(child.temporary):
            self._emptied.append(child.temporary)
        else:
            shutil.rmtree(child.temporary, ignore_errors=True)
        peak = child.memory.peak_bytes(largest_bytes)
        emit(self._events, {"id": child.number, "exit": code, "peak_memory_bytes": peak})


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _stamps(project: Path) -> dict[str, Mark]:
    """Return the stamp of every source file that is loaded, but for installed distributions, and of pyproject.toml."""
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    # torch.ops and its like call themselves after files that are nowhere
    real = {file for file in files if file and file.startswith(os.sep)}
    sources = {file for file in real if not counts_by_version(file)} | {str(project / "pyproject.toml")}
    return {file: mark_of(file) for file in sources}


def _settled(project: Path) -> int:
    """Wait until no file of the project is so young that a second change could hide; return the time in nanoseconds."""
    files = (*project.glob("*.py"), *project.glob("plugins/**/*.py"), project / "pyproject.toml")
    youngest = max((stamp[3] for file in files if (stamp := mark_of(str(file)))), default=0)
    time.sleep(max(0, min(RACY_NS, youngest + RACY_NS - time.time_ns())) / 1e9)
    return time.time_ns()


def _all_before(sources: dict[str, Mark], began: int) -> bool:
    """Tell whether every source was last changed before the time `began`: nothing changed while it was loaded."""
    return all(stamp is not None and stamp[3] < began for stamp in sources.values())


def main(preload: Sequence[str]) -> None:
    """Import what stages need and serve. A module that is missing is left for the stage to report."""
    orphans.adopt()
    gc.disable()  # until a stage runs: what is imported stays, and holes in its pages would be copied with them
    events = os.dup(1)
    os.dup2(2, 1)  # what a framework prints on import must not look like an event
    for name in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # here, since this process outlives a `doit` that is killed; not in the project, whose path may be too long for a socket
    with TemporaryDirectory(prefix="modelyard-", ignore_cleanup_errors=True) as temporary:
        Worker(os.fdopen(os.dup(0), "rb", buffering=0), events, Path(temporary)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
