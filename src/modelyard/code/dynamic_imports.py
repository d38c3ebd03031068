"""Imports that are calls, and files that are read as a package's data, where their names are written out.

`importlib.import_module("helper")`, `__import__("helper")`, `resources.files("net") / "sizes.json"`,
`resources.files(__package__).joinpath("a", "b")`, `resources.read_text("net", "sizes.json")`, `pkgutil.get_data(...)`.
A name that is computed is not found here; the stage that reads it is told (`modelyard.execution.watching`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

_READERS = frozenset({"read_text", "read_binary", "open_text", "open_binary", "get_data"})
"""Functions of `importlib.resources` and `pkgutil` that take a package and the name of a file in it."""


def dynamic_imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what the calls among `nodes` import, as `syntax.FileCode` says it."""
    for node in nodes:
        if isinstance(node, ast.Call):
            yield from _called(node)
        if isinstance(node, ast.Call | ast.BinOp) and (found := _resource(node)) and found[1]:
            yield f"{found[0]}:{'/'.join(found[1])}"


def _called(call: ast.Call) -> Iterator[str]:
    name, texts = _function(call), [_text(argument) for argument in call.args]
    if name in ("import_module", "__import__") and texts and texts[0]:
        own = name == "import_module" and len(call.args) > 1 and _package(call.args[1]) == "."
        if own or not texts[0].startswith("."):
            yield texts[0]
    if name == "files" and call.args and (package := _package(call.args[0])) not in ("", "."):
        yield package
    if name in _READERS and len(texts) > 1 and (package := _package(call.args[0])) and texts[1]:
        yield from (package,) if package != "." else ()
        yield f"{package}:{texts[1]}"


def _resource(node: ast.expr) -> tuple[str, list[str]] | None:
    """Return the package and the path below it that an expression stands for, if all of it is written out."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _below(_resource(node.left), [node.right])
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
        return _below(_resource(node.func.value), node.args)
    if _function(node) == "files":
        package = _package(node.args[0]) if node.args else "."
        return (package, []) if package else None
    return None


def _below(base: tuple[str, list[str]] | None, parts: Sequence[ast.expr]) -> tuple[str, list[str]] | None:
    texts = [_text(part) for part in parts]
    return (base[0], base[1] + texts) if base and all(texts) else None


def _function(call: ast.Call) -> str:
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def _package(node: ast.expr) -> str:
    """Return the package that an argument names, `.` for the one that the file is in, or an empty text."""
    own = isinstance(node, ast.Name) and node.id in ("__package__", "__name__")
    return "." if own else _text(node)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
