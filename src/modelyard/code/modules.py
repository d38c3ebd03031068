"""Which file a module is, as a worker of the project would import it; nothing is imported to find out."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

import msgspec

from modelyard.code.imports import installed_folders
from modelyard.code.lookups import Mark, Probes

_MODELYARD = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - objects of pathlib cost more than what they wrap, and this is the hot path


class Places(msgspec.Struct, array_like=True):
    """Where modules were looked for, and what was there."""

    path: tuple[str, ...]
    top_names: frozenset[str]
    marks: dict[str, Mark]


class Modules:
    """Finds modules by name; paths are strings, since this is the hot path of a build with nothing to do."""

    def __init__(self, project: Path) -> None:
        self.probes = Probes()
        self._project = str(project)
        self._installed = installed_folders()
        self._path = tuple(sys.path)
        self._top_names = _top_names(self._project)
        self._specs: dict[str, ModuleSpec | None] = {}
        self._files: dict[tuple[str, str], str | None] = {}
        self._there: dict[str, bool] = {}
        for folder in self._path:
            if folder and folder != self._project:
                self.probes.watch(folder)  # new modules may turn up in it

    def is_current(self) -> bool:
        """Tell whether every module is still where it was found, and no other could be found."""
        same = self._path == tuple(sys.path) and self._top_names == _top_names(self._project)
        return same and self.probes.is_current()

    @property
    def places(self) -> Places:
        """Where modules were looked for so far."""
        return Places(self._path, self._top_names, self.probes.marks)

    def adopt(self, places: Places) -> bool:
        """Tell whether all would be found where another process found it; if so, go on from there."""
        same = places.path == self._path and places.top_names == self._top_names
        return same and self.probes.adopt(places.marks)

    def follow(self, imports: Iterable[str], file: str, but: Callable[[str], bool]) -> tuple[str, ...]:
        """Return the files of the modules that `file` imports, and of the packages that these are in.

        Args:
            imports: what it imports, as `syntax.FileCode` says it.
            file: the file with the imports.
            but: says of a name that it is not followed.
        """
        folder = os.path.dirname(file)  # noqa: PTH120
        names = dict.fromkeys(step for one in imports for step in _with_packages(one) if not but(step))
        found = (self._resource(n, folder) if ":" in n else self._file(n, folder if n[0] == "." else "") for n in names)
        return tuple(dict.fromkeys(path for path in found if path is not None))

    def _resource(self, name: str, folder: str) -> str | None:
        """Return the file that a package's data is, or None if it is not there, or installed.

        Args:
            name: `package:path`.
            folder: the folder of the package `.`.
        """
        package, _, below = name.partition(":")
        if package != ".":
            module = self._file(package, "")
            home = os.path.dirname(module) if module else f"{self._project}/{package.replace('.', '/')}"  # noqa: PTH120
            folder = module if module and self.installed_name(module) else home
        path = os.path.normpath(f"{folder}/{below}")
        return path if self.installed_name(path) is None and self.probes.is_file(path) else None

    def packages_of(self, file: str) -> Iterator[str]:
        """Yield the `__init__.py` of each package that `file` is in; modelyard's own says only what its names are."""
        folder = os.path.dirname(file)  # noqa: PTH120
        while folder != _MODELYARD and self.probes.is_file(package := f"{folder}/__init__.py"):
            yield package
            folder = os.path.dirname(folder)  # noqa: PTH120

    def installed_name(self, path: str) -> str | None:
        """Return the top-level module that the installed file or folder `path` belongs to, or None if it is not installed."""
        for folder in self._installed:
            if path.startswith(folder):
                return path.removeprefix(folder).partition("/")[0].partition(".")[0]
        return None

    def _file(self, name: str, folder: str) -> str | None:
        """Return the file of a module, or None when it is built in or nowhere to be found.

        Args:
            name: its name.
            folder: the folder that a relative name is relative to, else empty.
        """
        key = name, folder
        if key not in self._files:
            self._files[key] = self._relative(name, folder) if folder else self._absolute(name)
        return self._files[key]

    def _relative(self, name: str, folder: str) -> str | None:
        bare = name.lstrip(".")
        for _ in range(len(name) - len(bare) - 1):
            folder = os.path.dirname(folder)  # noqa: PTH120
        return self._below(folder, bare.split(".") if bare else ())

    def _absolute(self, name: str) -> str | None:
        top, *rest = name.split(".")
        if top in self._top_names:  # the worker's path begins with the project: it wins over all but what is loaded
            local = self._below(self._project, (top, *rest))
            if local is not None:
                return local
        if top == "modelyard_project":
            return self._below(f"{self._project}/plugins", rest)
        if top in sys.stdlib_module_names:
            return None
        spec = self._spec(top)
        if spec is None:
            return None
        if not spec.submodule_search_locations:
            origin = spec.origin or ""
            return origin if origin.endswith(".py") or self.installed_name(origin) else None
        for folder in spec.submodule_search_locations:
            if self.installed_name(folder):
                return folder  # whatever is in it
            if found := self._below(folder, rest):
                return found
        return None

    def _spec(self, top: str) -> ModuleSpec | None:
        if top not in self._specs:
            try:
                self._specs[top] = importlib.util.find_spec(top)
            except (ImportError, ValueError):
                self._specs[top] = None
        return self._specs[top]

    def _below(self, folder: str, names: Sequence[str]) -> str | None:
        if len(names) > 1:
            within = self._below(folder, names[:-1])
            if within is not None and not within.endswith("/__init__.py"):
                return None  # what is in a module that is no package is no module
        base = "/".join((folder, *names))
        for path in (f"{base}/__init__.py", f"{base}.py"):
            if self._is_file(path):
                return path
        return None

    def _is_file(self, path: str) -> bool:
        if path not in self._there:
            self._there[path] = self.probes.is_file(path)
        return self._there[path]


def _top_names(project: str) -> frozenset[str]:
    """Return the names that may be modules in the folder `project`; a folder with a dot, as `x.egg-info`, is none."""
    with os.scandir(project) as entries:
        return frozenset(entry.name if entry.is_dir() else entry.name.partition(".")[0] for entry in entries)


def _with_packages(name: str) -> Iterator[str]:
    """Yield `a`, `a.b`, `a.b.c` for `a.b.c`: importing a module runs the packages that it is in."""
    if ":" in name:
        yield name
        return
    dot = name.find(".", len(name) - len(name.lstrip(".")))
    while dot >= 0:
        yield name[:dot]
        dot = name.find(".", dot + 1)
    yield name
