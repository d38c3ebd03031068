"""What a component's code means: the digests of its own file and of all code that it stands on.

The closure of a component is its module and every module of the project, of its plugin package or of
modelyard that it imports, anywhere in the file. An installed distribution counts by name and version.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from modelyard.code.imports import installed_folders
from modelyard.code.lookups import Mark
from modelyard.code.modules import Modules, Places
from modelyard.code.versions import distributions_with, installed_version
from modelyard.files.digests import DigestTable
from modelyard.files.json import decode

if TYPE_CHECKING:
    from modelyard.code.syntax import FileCode

_NEVER_SHAPE_BYTES = frozenset(
    {
        "component",
        "config",
        "contexts",
        "errors",
        "hookspecs",
        "kinds",
        "marking",
        "params",
        "plan",
        "plugins",
        "stage",
        "stage_settings",
        "stages.handlers_ahead",
    }
)
"""Modules and packages of modelyard that say what to build, and one that refuses what a later stage would refuse.

Their changes show in parameters and inputs, not in bytes.
"""

_OWN = frozenset({"modelyard_plugins", "modelyard_templates"})
"""Packages that the distribution `modelyard` holds beside the one of its own name."""


class Meaning(msgspec.Struct, frozen=True):
    """What a closure is in a key: one digest for all its files, and the version of each installed distribution."""

    digest: str
    distributions: dict[str, str]


class Closure(msgspec.Struct, dict=True):
    """The code that a component stands on.

    Attributes:
        files: the digest of each part of each file, by a name that is the same wherever the project is.
        paths: where the files are.
        installed: the top-level modules of installed distributions.
        distributions: the versions of these distributions by name.
    """

    files: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    paths: list[str] = msgspec.field(default_factory=list)
    installed: dict[str, None] = msgspec.field(default_factory=dict)
    distributions: dict[str, str] = msgspec.field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """One digest for the meaning of all files by the names that they are imported by; where they are does not matter."""
        packages = {label.split("/")[-2] for label in self.files if label.endswith("/__init__.py")}
        meanings = sorted((_module_name(label, packages), sorted(parts.items())) for label, parts in self.files.items())
        return hashlib.sha256(msgspec.json.encode(meanings)).hexdigest()

    @functools.cached_property
    def facts(self) -> dict[str, dict[str, str]]:
        """What records keep of `files`: 12 hex digits of each digest. Stages that stand on the same code share it."""
        return {file: {name: digest[:12] for name, digest in parts.items()} for file, parts in self.files.items()}


def _module_name(label: str, packages: Collection[str]) -> str:
    """Return the last part of a module's name: that of its file, or of the folder that is its package.

    The folder of a package at the top may have any name: links and layouts of sources give it another.
    """
    folder, _, name = label.rpartition("/")
    outer, _, own = folder.rpartition("/")
    return own if name == "__init__.py" and outer.rpartition("/")[2] in packages else name


class _Source(msgspec.Struct, frozen=True, array_like=True):
    """One file of the project's, a plugin's or modelyard's own: what it means, and the files that it imports."""

    parts: dict[str, str]
    imports: tuple[str, ...]


class _Kept(msgspec.Struct, array_like=True):
    """What an earlier process found out, and what it stands on: all that a build with nothing to do asks for.

    Attributes:
        places: what all of it stands on.
        closures: the digest and the installed modules of each closure, by the paths of the modules that it is the
            closure of, a line each.
    """

    places: Places
    closures: dict[str, tuple[str, tuple[str, ...]]]


class _KeptSources(msgspec.Struct, array_like=True):
    """The rest of it, which is ten times as much: the sources by their paths, and the digest of what they were kept with."""

    beside: bytes
    sources: dict[str, _Source]


class CodeIndex:
    """Finds closures; a file is parsed and followed once per change."""

    def __init__(self, project: Path, table: DigestTable) -> None:
        self._project, self._table = project, table
        self._look()
        self._recall()

    def _look(self) -> None:
        """Begin anew."""
        self._modules = Modules(self._project)
        self._sources: dict[str, _Source] = {}
        self._adopted = b""
        self._has_news = False
        self._digests: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._distributions: dict[str, dict[str, str]] = {}
        self._closures: dict[tuple[Path, ...], Closure] = {}

    def _recall(self) -> None:
        """Begin with what an earlier process kept, if all of it still stands."""
        data = self._table.note(self._note)
        if data is None:
            return
        try:
            kept = msgspec.msgpack.decode(data, type=_Kept)
        except msgspec.DecodeError:
            return
        if self._modules.adopt(kept.places):
            self._digests, self._adopted = kept.closures, data

    def _read_sources(self) -> None:
        """Read what an earlier process kept of the sources; a build with nothing to do does not ask for it."""
        data = self._table.note(f"{self._note} files") if self._adopted else None
        if data is not None:
            with contextlib.suppress(msgspec.DecodeError):
                kept = msgspec.msgpack.decode(data, type=_KeptSources)
                if kept.beside == hashlib.sha256(self._adopted).digest():  # else another process has kept others since
                    self._sources = kept.sources
        self._adopted = b""

    def persist(self) -> None:
        """Keep what was found out for the processes that come; later, if a file is so young that a change could hide."""
        if self._has_news and self._modules.is_current():
            self._read_sources()
            data = msgspec.msgpack.encode(_Kept(self._modules.places, self._digests))
            kept = _KeptSources(hashlib.sha256(data).digest(), self._sources)
            self._table.write_note(f"{self._note} files", msgspec.msgpack.encode(kept))
            self._table.write_note(self._note, data)
            self._has_news = False

    @property
    def _note(self) -> str:
        return f"sources 4 {sys.version_info[:2]} {self._project}"

    def forget(self) -> None:
        """Look at every file again, for instance after a stage has run; what is as it was stays known."""
        if not self._modules.is_current():
            self._look()

    def mark(self, path: str) -> Mark:
        """Return what the file system said of a closure's file, at `path`, when it was read."""
        return self._modules.probes.marks[path]

    def meaning(self, *files: Path) -> Meaning:
        """Return what the closure of the modules in `files` is in a key.

        Raises:
            PluginError: a file has a syntax error.
            DataError: a file cannot be read.
        """
        name = "\n".join(map(str, files))
        if name not in self._digests:
            closure = self.closure(*files)
            self._digests[name] = closure.digest, tuple(closure.installed)
            self._has_news = True
        digest, installed = self._digests[name]
        return Meaning(digest, {n: version for top in installed for n, version in self._distribution(top).items()})

    def closure(self, *files: Path) -> Closure:
        """Return the closure of the modules in `files`, and of the packages that hold them.

        Raises:
            PluginError: a file has a syntax error.
            DataError: a file cannot be read.
        """
        if files not in self._closures:
            self._closures[files] = self._closure([str(file) for file in files])
        return self._closures[files]

    def _closure(self, files: Iterable[str]) -> Closure:
        self._read_sources()
        found = Closure()
        todo = [path for file in files for path in (file, *self._modules.packages_of(file))]
        seen: set[str] = set()
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            if top := self._modules.installed_name(path):
                found.installed[top] = None
                found.distributions |= self._distribution(top)
                continue
            source = self._sources.get(path) or self._source(path)
            found.files[self._label(path, found.files)] = source.parts
            found.paths.append(path)
            todo += source.imports
        return found

    def _source(self, path: str) -> _Source:
        self._has_news = True
        self._modules.probes.watch(path)
        if not path.endswith((".py", ".ipynb")):  # a package's data
            self._sources[path] = data = _Source({"(bytes)": self._table.file(path)}, ())
            return data
        code = self._code(path)
        imports = self._modules.follow(code.imports, path, but=_never_shapes_bytes)
        self._sources[path] = source = _Source(code.parts, imports)
        return source

    def _code(self, path: str) -> FileCode:
        from modelyard.code.syntax import FileCode, read_code  # most builds find all as an earlier one left it

        note = f"code 3 {sys.version_info[:2]} {self._table.file(path)}"
        known = self._table.note(note)
        if known is not None:
            return decode(known, FileCode)
        code = read_code(Path(path))
        self._table.write_note(note, msgspec.json.encode(code))
        return code

    def _label(self, path: str, taken: Collection[str]) -> str:
        """Return a name for `path` that is the same wherever the project and modelyard are."""
        below = path.removeprefix(f"{self._project}/")
        if below != path:
            return below
        label = "/".join(path.rsplit("/", 3)[1:])
        if label not in taken:
            return label
        parts = PurePosixPath(path).parts
        ends = ("/".join(parts[-n:]) for n in range(4, len(parts) + 1))
        return next((end for end in ends if end not in taken), path)

    def _distribution(self, top: str) -> dict[str, str]:
        if top not in self._distributions:
            self._distributions[top] = self._versions("modelyard" if top in _OWN else top)
        return self._distributions[top]

    def _versions(self, top: str) -> dict[str, str]:
        try:
            return {top: installed_version(top)}
        except ModuleNotFoundError:
            return {name: installed_version(name) for name in self._owners_of(top)}

    def _owners_of(self, top: str) -> list[str]:
        """Return which distributions own a top-level module: a question to each of them, so it is kept until something is installed."""
        folders = installed_folders()
        stamps = [folder.stat().st_mtime_ns for folder in map(Path, folders) if folder.is_dir()]
        note = f"owners of {top} {folders} {stamps}"
        known = self._table.note(note)
        if known is None:
            known = msgspec.json.encode(distributions_with(top))
            self._table.write_note(note, known)
        return decode(known, list[str])


def _never_shapes_bytes(name: str) -> bool:
    """Whether the module `name` is one of modelyard's that shape no bytes, or the package modelyard itself."""
    top, _, rest = name.partition(".")
    return top == "modelyard" and (not rest or not _NEVER_SHAPE_BYTES.isdisjoint((rest, rest.partition(".")[0])))
