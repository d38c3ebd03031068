"""What the code in one file means: digests of its syntax tree, without comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelyard.code.dynamic_imports import dynamic_imports
from modelyard.errors import DataError, PluginError
from modelyard.files.notebook import SUFFIX, cell_name, read_cells


class FileCode(msgspec.Struct, frozen=True, array_like=True):
    """One file: a digest for each top-level function or class and for the rest, and what it imports.

    An import is the name of a module, a relative one with its dots; or `package:path` for a file that is read as a
    package's data, with `.` for the package that the file is in.
    """

    parts: dict[str, str]
    imports: tuple[str, ...]


def read_code(path: Path) -> FileCode:
    """Return the meaning of the Python file, or the notebook, at `path`.

    Raises:
        PluginError: it has a syntax error.
        DataError: it cannot be read.
    """
    tree = parse(path)
    nodes = _nodes(tree)
    imports = tuple(dict.fromkeys((*_imports(nodes), *dynamic_imports(nodes))))
    _strip_docstrings(nodes)
    parts: dict[str, list[str]] = {}
    for node in tree.body:
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else "(module)"
        parts.setdefault(name, []).append("\n".join(_tokens(node)))
    return FileCode({n: hashlib.sha256("\n".join(d).encode()).hexdigest() for n, d in parts.items()}, imports)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of the Python file at `path`; of a notebook, that of all its code cells together.

    Raises:
        PluginError: it is not Python.
        DataError: it cannot be read.
    """
    if path.suffix == SUFFIX:
        cells = [_parsed(cell.python, cell_name(path, cell.number)) for cell in read_cells(path)]
        return ast.Module([node for cell in cells for node in cell.body], [])
    try:
        return _parsed(path.read_bytes(), str(path))
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise DataError(msg) from exc


def _parsed(source: str | bytes, name: str) -> ast.Module:
    try:
        return ast.parse(source, name)
    except SyntaxError as exc:
        line = f"\n  {exc.text.strip()}" if exc.text and exc.text.strip() else ""
        msg = f"{name}:{exc.lineno}: syntax error: {exc.msg}{line}"
        raise PluginError(msg) from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        msg = f"{name}: not Python: {exc}"
        raise PluginError(msg) from exc


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """Return `tree` and all nodes below it, each level behind the one above; `ast.walk` takes three times as long."""
    found = [tree]
    for node in found:  # which grows
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
    return found


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


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            joint = "" if base.endswith(".") else "."
            yield from (f"{base}{joint}{alias.name}" for alias in node.names)


def _strip_docstrings(nodes: Iterable[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            body = [n for n in node.body if not _is_bare_string(n)]
            node.body = body or ([ast.Pass()] if not isinstance(node, ast.Module) else [])


def _is_bare_string(node: ast.stmt) -> bool:
    """A string that stands alone does nothing: a docstring, or the text below an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
