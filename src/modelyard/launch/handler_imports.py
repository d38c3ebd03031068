"""What the project's own code of a handler imports, where a server runs it: without modelyard, with what is pinned."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from modelyard.code.versions import distributions_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OURS = frozenset({"modelyard", "modelyard_plugins"})


class Imports(ast.NodeVisitor):
    """The top-level modules that a file imports; what stands below `if TYPE_CHECKING:` is none.

    Attributes:
        at_once: those that it imports when it is imported itself.
        later: those that one of its functions imports.
    """

    def __init__(self, source: str) -> None:
        """Find them in the text of a module."""
        self.at_once: set[str] = set()
        self.later: set[str] = set()
        self._into = self.at_once
        self.visit(ast.parse(source))

    def visit_Import(self, node: ast.Import) -> None:
        """Take the modules of an `import`."""
        self._into.update(one.name.partition(".")[0] for one in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Take the module of a `from ... import`, unless it is of the same package."""
        if node.level == 0 and node.module:
            self._into.add(node.module.partition(".")[0])

    def visit_If(self, node: ast.If) -> None:
        """Leave out what only a type checker reads."""
        name = getattr(node.test, "attr", None) or getattr(node.test, "id", "")
        for one in node.orelse if name == "TYPE_CHECKING" else [*node.body, *node.orelse]:
            self.visit(one)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Take what the function imports as what is imported later."""
        outer, self._into = self._into, self.later
        self.generic_visit(node)
        self._into = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815


def imports_modelyard(file: Path) -> bool:
    """Return whether the module in `file` cannot be imported where modelyard is not."""
    return bool(Imports(file.read_text(encoding="utf-8")).at_once & _OURS)


def missing(files: Iterable[Path], project: Path, pinned: frozenset[str]) -> Iterator[str]:
    """Yield each distribution that `files` import and that is not pinned.

    Args:
        files: modules of the project.
        project: the project's folder; what it holds goes along.
        pinned: the names of the distributions that there are, normalized.
    """
    for file in files:
        found = Imports(file.read_text(encoding="utf-8"))
        for name in sorted((found.at_once | found.later) - sys.stdlib_module_names - _OURS):
            distributions = [] if _is_own(project, name) else distributions_with(name)
            if distributions and not pinned & {*map(normal, distributions)}:
                yield distributions[0]


def _is_own(project: Path, name: str) -> bool:
    return (project / f"{name}.py").is_file() or (project / name).is_dir()


def normal(distribution: str) -> str:
    """Return the name of a distribution as all spellings of it have it in common."""
    return distribution.lower().replace("_", "-").replace(".", "-")
