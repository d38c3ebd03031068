"""Compile a server and what it imports; run by an image's own Python, with nothing but its standard library.

Nothing else of the image is imported: what a module imports is read from its text, so that the same files give the same
bytes whatever the machine can do.

Source: PEP 552 (unchecked hash-based pycs), PEP 488 (their names).
"""

from __future__ import annotations

import _imp
import ast
import importlib.util
import json
import marshal
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNCHECKED_HASH = (1).to_bytes(4, "little")
_ALWAYS = ("encodings.utf_8", "encodings.idna", "importlib._abc")
"""What the interpreter imports by itself, from C or from modules that are frozen into it."""
_NEVER_HERE = ("TYPE_CHECKING", "__main__", "win32")


def imports_of(text: bytes, package: str, *, later: bool) -> list[str]:
    """Return the names that a module of `package` imports when it is imported; with `later`, what its functions import as well.

    What is imported from a module may be a module or not. What only type checkers see is left out, and what is there for
    another system or in place of something that is missing.
    """
    names: list[str] = []
    pending: list[ast.AST] = [ast.parse(text)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            pending += _runs_in(node, later=later)
    return names


def _runs_in(node: ast.AST, *, later: bool) -> list[ast.AST]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not later:
        return []
    if isinstance(node, ast.If) and any(word in ast.dump(node.test) for word in _NEVER_HERE):
        return list(node.orelse)
    if isinstance(node, ast.Try):
        return [*node.body, *node.orelse, *node.finalbody]
    return [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt)]


class Closure:
    """The source files of all modules that are imported.

    Attributes:
        files: of them, each once.
    """

    def __init__(self, folders: list[str], root: str) -> None:
        """Search `folders` for modules; what a link leads to outside of `root` is none of the image's."""
        self._folders, self._root = folders, Path(root or "/").resolve()
        self._known: dict[str, list[str] | None] = {}
        self.files: dict[str, None] = {}

    def add(self, names: list[str], *, later: bool = False) -> None:
        """Add modules, and all that they import; names that are none are passed over."""
        pending = list(names)
        while pending:
            name = pending.pop()
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                pending += self._one(".".join(parts[:end]), later=later and end == len(parts) and name in names)

    def _one(self, name: str, *, later: bool) -> list[str]:
        """Add the module `name`, whose parents are known, and return what it imports; nothing if it was known."""
        if name in self._known:
            return []
        parent = name.rpartition(".")[0]
        folders = self._known[parent] if parent else self._folders
        spec = None if folders is None or _imp.is_frozen(name) else PathFinder.find_spec(name, folders)
        below = (
            None if spec is None or spec.submodule_search_locations is None else list(spec.submodule_search_locations)
        )
        self._known[name] = below
        if spec is None or not isinstance(spec.loader, SourceFileLoader) or not self._has(spec.loader.path):
            return []
        self.files[spec.loader.path] = None
        try:
            return imports_of(spec.loader.get_data(spec.loader.path), parent if below is None else name, later=later)
        except (SyntaxError, ValueError):
            return []  # a template, or text for another Python

    def _has(self, path: str) -> bool:
        return self._root in Path(path).resolve().parents


def modules_of(place: Path) -> Iterator[str]:
    """Yield the names of the modules in the file or folder `place`, from whose parent they are imported."""
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        yield ".".join(path.relative_to(place.parent).with_suffix("").parts).removesuffix(".__init__")


def compiled(path: str, root: str) -> bytes:
    """Return the bytecode of the file `path`, that says to come from the same path below `root`.

    Raises:
        SyntaxError: it is not for this Python.
    """
    text, name = Path(path).read_bytes(), path[len(root) :]
    code = compile(text, name, "exec", dont_inherit=True, optimize=0)
    # marshal writes otherwise what nothing else refers to: `name` is held here, so that it is never that
    return importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(text) + marshal.dumps(code)


def main(root: str, places: list[str], out: str) -> None:
    """Compile the servers at `places`, and what they import, of the image below `root`, to the same paths below `out`.

    Links among the folders are followed, so that nothing is written in the place of one.
    """
    closure = Closure([folder for folder in sys.path if folder], root)
    for place in places:
        closure.add(list(modules_of(Path(root + place))), later=True)
    closure.add(list(_ALWAYS))
    for path in sorted(closure.files):
        try:
            data = compiled(path, root)
        except (SyntaxError, ValueError):
            continue
        folder = Path(path).parent.resolve().relative_to(Path(root or "/").resolve())
        target = Path(importlib.util.cache_from_source(str(Path(out, folder, Path(path).name))))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


if __name__ == "__main__":
    told: dict[str, Any] = json.loads(sys.argv[1])
    main(**told)
