"""Import code that counts by its meaning from what its source says now.

Python takes a `.pyc` file for current if the source has the same size and the same mtime in whole seconds. An edit
that keeps both (a second later, or where a tool sets every mtime) would run old code under the new code's action key.
So these imports compare the hash of the source instead, which costs one read.

Source: PEP 552, hash-based pycs.
"""

from __future__ import annotations

import functools
import linecache
import marshal
import os
import site
import sys
from collections.abc import Callable
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from importlib.util import MAGIC_NUMBER, cache_from_source, decode_source, source_hash
from types import CodeType

from modelyard.code.lookups import Mark
from modelyard.files.digests import signature
from modelyard.files.json import read_all, read_bytes

_CHECKED_HASH = (3).to_bytes(4, "little")
_STANDARD_LIBRARY = f"{os.path.dirname(os.__file__)}/"  # noqa: PTH120 - sysconfig knows it too, after 2 ms


class HashedLoader(SourceFileLoader):
    """Loads a module from bytecode only if that was compiled from the very bytes of its source."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the module's code, compiled now if need be."""
        path = self.get_filename(fullname)
        cached = cache_from_source(path)
        reading.update((path, cached))
        try:
            return self._code(path, cached)
        finally:
            reading.difference_update((path, cached))

    def _code(self, path: str, cached: str) -> CodeType:
        source = _read_source(path)
        if on_load:
            _keep_lines(path, source)
        head = MAGIC_NUMBER + _CHECKED_HASH + source_hash(source)
        if known := _code_in(_read(cached), head, path):
            return known
        code: CodeType = self.source_to_code(source, path)
        if not sys.dont_write_bytecode:
            self.set_data(cached, head + marshal.dumps(code))
        return code


def _code_in(bytecode: bytes, head: bytes, path: str) -> CodeType | None:
    """Return the code of a `.pyc` file, or None if it is of another source, damaged, or came here with a copied project.

    The code says the path that it was compiled from: by that, tracebacks show lines and components know their files.
    """
    if not bytecode.startswith(head):
        return None
    try:
        code: CodeType = marshal.loads(bytecode[len(head) :])
    except (EOFError, TypeError, ValueError):
        return None
    return code if code.co_filename == path else None


loaded: dict[str, Mark] = {}
"""The source files that were imported so, each with its signature when it was read; None if that was not one alone."""

reading: set[str] = set()
"""The files that are being read for that."""

on_load: list[Callable[[str, Mark], None]] = []
"""Called with each source file that is about to run, and its signature."""


def _read_source(path: str) -> bytes:
    """Return the bytes of a source file; what else in this process shows the source shows these from now on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        before = signature(os.fstat(descriptor))
        source = read_all(descriptor)
        mark = before if before == signature(os.fstat(descriptor)) else None
    finally:
        os.close(descriptor)
    loaded[path] = mark if loaded.get(path, mark) == mark else None
    for hear in on_load:
        hear(path, mark)
    return source


def _keep_lines(path: str, source: bytes) -> None:
    """Let tracebacks and `inspect.getsource`, which TensorFlow's autograph uses, see the code that runs, not a later one."""
    lines = decode_source(source).splitlines(keepends=True)
    linecache.cache[path] = len(source), None, lines, path


def _read(path: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError:
        return b""


def installed_folders() -> tuple[str, ...]:
    """Return the folders of installed distributions, each ending in `/`: of the environment, the user, the system."""
    return _installed_on(tuple(sys.path))


@functools.lru_cache(maxsize=1)
def _installed_on(path: tuple[str, ...]) -> tuple[str, ...]:
    others = [folder for folder in path if folder.endswith(("/site-packages", "/dist-packages"))]
    return tuple(dict.fromkeys(f"{folder}/" for folder in (*site.getsitepackages(), *others)))


_finder = FileFinder.path_hook((HashedLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES))


def _hook(path: str) -> FileFinder:
    if counts_by_version(path):
        msg = "not a folder of sources"
        raise ImportError(msg, path=path)
    return _finder(path)  # type: ignore[return-value]


def counts_by_version(path: str) -> bool:
    """Tell whether what is at `path` is part of the standard library or of an installed distribution."""
    return f"{path}/".startswith((*installed_folders(), _STANDARD_LIBRARY))


def watch_sources() -> None:
    """From now on, import everything but the standard library and installed distributions as the source says."""
    if _hook not in sys.path_hooks:
        sys.path_hooks.insert(0, _hook)
        for path in [path for path in list(sys.path_importer_cache) if not counts_by_version(path)]:
            del sys.path_importer_cache[path]
