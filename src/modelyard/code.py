"""What a component's code means: digests of syntax trees, without comments, docstrings and layout.

The closure of a component is its module and every module of the project, of its plugin package or of
modelyard that it imports, anywhere in the file. An installed distribution counts by name and version.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelyard.digests import DigestTable
from modelyard.errors import PluginError

_NEVER_SHAPE_BYTES = frozenset(
    f"modelyard{n}"
    for n in ("", ".component", ".contexts", ".errors", ".hookspecs", ".params", ".plugins", ".config", ".plan", ".settings")
)
"""Modules of modelyard that say what to build; their changes show in parameters and inputs, not in bytes."""


class FileCode(msgspec.Struct, frozen=True, array_like=True):
    """One file: a digest for each top-level function or class and for the rest, and the modules that it imports."""

    parts: dict[str, str]
    imports: tuple[str, ...]


class Closure(msgspec.Struct):
    """The code that a component stands on: files with the digests of their parts, and installed distributions."""

    files: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    distributions: dict[str, str] = msgspec.field(default_factory=dict)

    def digest(self) -> str:
        """Return one digest for the meaning of all files; their names do not matter."""
        meanings = sorted(sorted(parts.items()) for parts in self.files.values())
        return hashlib.sha256(msgspec.json.encode(meanings)).hexdigest()


class CodeIndex:
    """Finds closures; a file is parsed once per change."""

    def __init__(self, project: Path, table: DigestTable) -> None:
        self._project, self._table = project, table
        self._installed = tuple(Path(sysconfig.get_path(p)) for p in ("purelib", "platlib"))
        self._codes: dict[Path, FileCode] = {}
        self._modules: dict[str, Path | None] = {}

    def forget(self) -> None:
        """Look at every file again, for instance after a stage has run."""
        self._codes.clear()

    def closure(self, file: Path, distribution: str = "") -> Closure:
        """Return the closure of the module in `file`; `distribution` is `name version` if an installed one owns it.

        Raises:
            PluginError: a file has a syntax error.
        """
        found = Closure()
        if distribution and self._is_installed(file):
            name, _, version = distribution.partition(" ")
            found.distributions[name] = version
            return found
        seen: set[Path] = set()
        todo = [file]
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            code = self._code(path)
            found.files[self._label(path)] = code.parts
            todo += self._follow(code.imports, path, found)
        return found

    def _follow(self, imports: Iterable[str], path: Path, found: Closure) -> Iterator[Path]:
        for name in imports:
            full = self._absolute(name, path)
            if full is None or full in _NEVER_SHAPE_BYTES or full.partition(".")[0] in sys.stdlib_module_names:
                continue
            target = self._module(full, path)
            if target is None:
                continue
            if self._is_installed(target):
                found.distributions |= self._distribution(full.partition(".")[0])
            else:
                yield target

    def _code(self, path: Path) -> FileCode:
        if path not in self._codes:
            note = f"code {sys.version_info[:2]} {self._table.file(path)}"
            known = self._table.note(note)
            if known is None:
                known = msgspec.json.encode(read_code(path))
                self._table.write_note(note, known)
            self._codes[path] = msgspec.json.decode(known, type=FileCode)
        return self._codes[path]

    def _label(self, path: Path) -> str:
        return str(path.relative_to(self._project)) if path.is_relative_to(self._project) else "/".join(path.parts[-3:])

    def _is_installed(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._installed)

    @staticmethod
    def _absolute(name: str, path: Path) -> str | None:
        """Return the absolute name of an import; a relative one keeps its dots and is resolved by folder."""
        return name if not name.startswith(".") else f"{name}@{path.parent}"

    def _module(self, full: str, importer: Path) -> Path | None:
        """Return the file of a module, or None when it is built in or nowhere to be found."""
        if full not in self._modules:
            self._modules[full] = self._relative(full) if full.startswith(".") else self._find(full)
        return self._modules[full]

    @staticmethod
    def _relative(full: str) -> Path | None:
        name, _, folder = full.partition("@")
        bare = name.lstrip(".")
        base = Path(folder)
        for _ in range(len(name) - len(bare) - 1):
            base = base.parent
        return _module_file(base.joinpath(*bare.split(".")) if bare else base)

    def _find(self, full: str) -> Path | None:
        top, *rest = full.split(".")
        local = _module_file(self._project.joinpath(top, *rest))
        if local is not None:
            return local
        if top == "modelyard_project":
            return _module_file(self._project.joinpath("plugins", *rest))
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if not spec.submodule_search_locations:
            return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
        for folder in spec.submodule_search_locations:
            found = _module_file(Path(folder, *rest))
            if found or self._is_installed(Path(folder)):
                return found or Path(folder)
        return None

    def _distribution(self, top: str) -> dict[str, str]:
        try:
            return {top: importlib.metadata.version(top)}
        except importlib.metadata.PackageNotFoundError:
            owners = self._owners().get(top, ())
            return {name: importlib.metadata.version(name) for name in owners}

    def _owners(self) -> dict[str, list[str]]:
        """Return which distributions own each top-level module; slow to find, so it is kept until something is installed."""
        stamps = [f.stat().st_mtime_ns for f in self._installed if f.is_dir()]
        note = f"owners {self._installed} {stamps}"
        known = self._table.note(note)
        if known is None:
            known = msgspec.json.encode(dict(importlib.metadata.packages_distributions()))
            self._table.write_note(note, known)
        return msgspec.json.decode(known, type=dict[str, list[str]])


def _module_file(base: Path) -> Path | None:
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if path.is_file():
            return path
    return None


def read_code(path: Path) -> FileCode:
    """Return the meaning of the Python file at `path`.

    Raises:
        PluginError: it has a syntax error.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as exc:
        msg = f"{path}:{exc.lineno}: syntax error: {exc.msg}"
        raise PluginError(msg) from exc
    imports = tuple(dict.fromkeys(_imports(tree)))
    _strip_docstrings(tree)
    parts: dict[str, list[str]] = {}
    for node in tree.body:
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else "(module)"
        parts.setdefault(name, []).append(ast.dump(node))
    return FileCode({n: hashlib.sha256("\n".join(d).encode()).hexdigest() for n, d in parts.items()}, imports)


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
