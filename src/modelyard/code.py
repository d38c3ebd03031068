"""What a component's code means: digests of syntax trees, without comments, docstrings and layout.

The closure of a component is its module and every module of the project, of its plugin package or of
modelyard that it imports, anywhere in the file. An installed distribution counts by name and version.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelyard.digests import DigestTable
from modelyard.errors import DataError, PluginError
from modelyard.probes import Probes
from modelyard.source_imports import installed_folders
from modelyard.versions import installed_version

_NEVER_SHAPE_BYTES = frozenset(
    f"modelyard{n}"
    for n in (
        "",
        ".component",
        ".contexts",
        ".errors",
        ".hookspecs",
        ".params",
        ".plugins",
        ".config",
        ".plan",
        ".settings",
    )
)
"""Modules of modelyard that say what to build; their changes show in parameters and inputs, not in bytes."""

_MODELYARD = Path(__file__).parent
_OWN = frozenset({"modelyard_plugins", "modelyard_templates"})
"""Packages that the distribution `modelyard` holds beside the one of its own name."""


class FileCode(msgspec.Struct, frozen=True, array_like=True):
    """One file: a digest for each top-level function or class and for the rest, and the modules that it imports."""

    parts: dict[str, str]
    imports: tuple[str, ...]


class Closure(msgspec.Struct, dict=True):
    """The code that a component stands on: files with the digests of their parts, and installed distributions."""

    files: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    distributions: dict[str, str] = msgspec.field(default_factory=dict)

    @functools.cached_property
    def digest(self) -> str:
        """One digest for the meaning of all files; their names do not matter."""
        meanings = sorted(sorted(parts.items()) for parts in self.files.values())
        return hashlib.sha256(msgspec.json.encode(meanings)).hexdigest()


class CodeIndex:
    """Finds closures; a file is parsed once per change."""

    def __init__(self, project: Path, table: DigestTable) -> None:
        self._project, self._table = project, table
        self._installed = installed_folders()
        self._codes: dict[Path, FileCode] = {}
        self._modules: dict[str, Path | None] = {}
        self._closures: dict[tuple[Path, ...], Closure] = {}
        self._look()

    def _look(self) -> None:
        """Begin anew, and watch the folders in which new modules may turn up."""
        self._codes.clear()
        self._modules.clear()
        self._closures.clear()
        self._probes = Probes()
        self._path = tuple(sys.path)
        for folder in self._path:
            if folder and folder != str(self._project):
                self._probes.watch(folder)
        self._top_names = _top_names(self._project)

    def forget(self) -> None:
        """Look at every file again, for instance after a stage has run; what is as it was stays known."""
        same = self._path == tuple(sys.path) and self._top_names == _top_names(self._project) and self._probes.stand()
        if not same:
            self._look()

    def closure(self, *files: Path) -> Closure:
        """Return the closure of the modules in `files`, and of the packages that hold them.

        Raises:
            PluginError: a file has a syntax error.
            DataError: a file cannot be read.
        """
        if files not in self._closures:
            self._closures[files] = self._closure(files)
        return self._closures[files]

    def _closure(self, files: Iterable[Path]) -> Closure:
        found = Closure()
        seen: set[Path] = set()
        todo = [path for file in files for path in (file, *self._enclosing_packages(file))]
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            if self._is_installed(path):
                found.distributions |= self._distribution(self._installed_name(path))
                continue
            code = self._code(path)
            found.files[self._label(path, found.files)] = code.parts
            todo += self._follow(code.imports, path)
        return found

    def _follow(self, imports: Iterable[str], path: Path) -> Iterator[Path]:
        for name in dict.fromkeys(step for one in imports for step in _with_packages(one)):
            if name not in _NEVER_SHAPE_BYTES:
                target = self._module(name if name[0] != "." else f"{name}@{path.parent}")
                if target is not None:
                    yield target

    def _code(self, path: Path) -> FileCode:
        if path not in self._codes:
            self._probes.watch(str(path))
            note = f"code 2 {sys.version_info[:2]} {self._table.file(path)}"
            known = self._table.note(note)
            if known is None:
                known = msgspec.json.encode(read_code(path))
                self._table.write_note(note, known)
            self._codes[path] = msgspec.json.decode(known, type=FileCode)
        return self._codes[path]

    def _label(self, path: Path, taken: Iterable[str]) -> str:
        if path.is_relative_to(self._project):
            return str(path.relative_to(self._project))
        ends = ("/".join(path.parts[-n:]) for n in range(3, len(path.parts) + 1))
        return next((end for end in ends if end not in taken), str(path))

    def _is_installed(self, path: Path) -> bool:
        return str(path).startswith(self._installed)

    def _installed_name(self, path: Path) -> str:
        """Return the top-level module that the installed file `path` belongs to."""
        folder = next(f for f in self._installed if str(path).startswith(f))
        return str(path).removeprefix(folder).partition("/")[0].partition(".")[0]

    def _module(self, full: str) -> Path | None:
        """Return the file of a module, or None when it is built in or nowhere to be found.

        Args:
            full: its absolute name, or a relative one with the folder that it is relative to: `.name@folder`.
        """
        if full not in self._modules:
            self._modules[full] = self._relative(full) if full.startswith(".") else self._find(full)
        return self._modules[full]

    def _relative(self, full: str) -> Path | None:
        name, _, folder = full.partition("@")
        bare = name.lstrip(".")
        base = Path(folder)
        for _ in range(len(name) - len(bare) - 1):
            base = base.parent
        return self._module_file(base.joinpath(*bare.split(".")) if bare else base)

    def _find(self, full: str) -> Path | None:
        top, *rest = full.split(".")
        if top in self._top_names:  # the worker's path begins with the project: it wins over all but what is loaded
            local = self._module_file(self._project.joinpath(top, *rest))
            if local is not None:
                return local
        if top == "modelyard_project":
            return self._module_file(self._project.joinpath("plugins", *rest))
        if top in sys.stdlib_module_names:
            return None
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if not spec.submodule_search_locations:
            origin = Path(spec.origin or "")
            return origin if origin.suffix == ".py" or self._is_installed(origin) else None
        for folder in spec.submodule_search_locations:
            if self._is_installed(Path(folder)):
                return Path(folder)  # whatever is in it
            if found := self._module_file(Path(folder, *rest)):
                return found
        return None

    def _enclosing_packages(self, file: Path) -> Iterator[Path]:
        """Yield the `__init__.py` of each package that `file` is in; modelyard's own says only what its names are."""
        for folder in file.parents:
            package = folder / "__init__.py"
            if folder == _MODELYARD or not self._probes.is_file(package):
                return
            yield package

    def _module_file(self, base: Path) -> Path | None:
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if self._probes.is_file(path):
                return path
        return None

    def _distribution(self, top: str) -> dict[str, str]:
        top = "modelyard" if top in _OWN else top
        try:
            return {top: installed_version(top)}
        except importlib.metadata.PackageNotFoundError:
            return {name: installed_version(name) for name in self._owners().get(top, ())}

    def _owners(self) -> dict[str, list[str]]:
        """Return which distributions own each top-level module; slow, so it is kept until something is installed."""
        stamps = [folder.stat().st_mtime_ns for folder in map(Path, self._installed) if folder.is_dir()]
        note = f"owners {self._installed} {stamps}"
        known = self._table.note(note)
        if known is None:
            known = msgspec.json.encode(dict(importlib.metadata.packages_distributions()))
            self._table.write_note(note, known)
        return msgspec.json.decode(known, type=dict[str, list[str]])


def _top_names(project: Path) -> frozenset[str]:
    with os.scandir(project) as entries:
        return frozenset(entry.name.partition(".")[0] for entry in entries)


def _with_packages(name: str) -> Iterator[str]:
    """Yield `a`, `a.b`, `a.b.c` for `a.b.c`: importing a module runs the packages that it is in."""
    bare = name.lstrip(".")
    dots = name[: len(name) - len(bare)]
    parts = bare.split(".")
    return (dots + ".".join(parts[: n + 1]) for n in range(len(parts)))


def read_code(path: Path) -> FileCode:
    """Return the meaning of the Python file at `path`.

    Raises:
        PluginError: it has a syntax error.
    """
    tree = parse(path)
    imports = tuple(dict.fromkeys(_imports(tree)))
    _strip_docstrings(tree)
    parts: dict[str, list[str]] = {}
    for node in tree.body:
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else "(module)"
        parts.setdefault(name, []).append("\n".join(_tokens(node)))
    return FileCode({n: hashlib.sha256("\n".join(d).encode()).hexdigest() for n, d in parts.items()}, imports)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of the Python file at `path`.

    Raises:
        PluginError: it is not Python.
        DataError: it cannot be read.
    """
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as exc:
        msg = f"{path}:{exc.lineno}: syntax error: {exc.msg}"
        raise PluginError(msg) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        msg = f"{path}: not Python: {exc}"
        raise PluginError(msg) from exc
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise DataError(msg) from exc


def _tokens(node: ast.stmt) -> Iterator[str]:
    """Yield what `node` means, piece by piece: a loop, since `ast.dump` fails on a chain of 300 `elif`."""
    todo: list[object] = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, ast.AST):
            yield type(item).__name__
            todo += (getattr(item, name, None) for name in reversed(item._fields))
        elif isinstance(item, list):
            yield f"[{len(item)}]"
            todo += reversed(item)
        else:
            yield f"{type(item).__name__} {item!r}"


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            joint = "" if base.endswith(".") else "."
            yield from (f"{base}{joint}{alias.name}" for alias in node.names)


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            body = [n for n in node.body if not _is_bare_string(n)]
            node.body = body or ([ast.Pass()] if not isinstance(node, ast.Module) else [])


def _is_bare_string(node: ast.stmt) -> bool:
    """A string that stands alone does nothing: a docstring, or the text below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
