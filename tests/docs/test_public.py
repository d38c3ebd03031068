"""What the docs, the templates and the examples import is what the page on Python says may be imported."""

from __future__ import annotations

import ast
import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs/reference/python.md").read_text()
ROWS = dict(re.findall(r"^\| `(modelyard[\w.]*)` \| (.*) \|$", PAGE, re.MULTILINE))
AUTHORS = [f"docs/{page}.md" for page in ("reference/hooks", "how-to/write-an-optimizer", "how-to/write-a-target")]
"""The pages for those who write plugins."""


def imported(code: str) -> Iterator[str]:
    """Yield the modules of ours that the code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            public = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name if name in ROWS else node.module for name in public]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def told(text: str) -> Iterator[str]:
    """Yield the modules of ours that a text names, tables of a configuration left out: of `modelyard.a.b.c` as much as is one."""
    for name in set(re.findall(r"(?<!tool\.)\bmodelyard(?:_plugins)?(?:\.[a-z]\w*)+", text)):
        parts = name.split(".")
        heads = [".".join(parts[: end + 1]) for end in range(1, len(parts))]
        yield from [head for head in heads if is_module(head)][-1:]


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what it should be in is none, or is no package
        return False


def taught() -> Iterator[tuple[str, str]]:
    """Yield each piece of code that a reader may copy, with where it stands."""
    for page in PAGES:
        yield from ((f"{page}:{number}", block.text) for number, block in enumerate(blocks(page, "python")))
    for file in (*ROOT.glob("templates/**/*.py.txt"), *ROOT.glob("examples/**/*.py"), ROOT / "dodo.py"):
        text = file.read_text().replace("@package@", "package").replace("@short@", "short")
        text = re.sub(r"@(imports|hooks)@", "", text)  # the package's own modules
        yield str(file.relative_to(ROOT)), text


@pytest.mark.parametrize(("where", "code"), [pytest.param(*one, id=one[0]) for one in taught()])
def test_only_what_is_public_is_taught(where: str, code: str) -> None:
    ours = {name for name in imported(code) if name.partition(".")[0] in ("modelyard", "modelyard_plugins")}
    assert ours <= ROWS.keys(), where


@pytest.mark.parametrize(
    "page", [*AUTHORS, *(str(path.relative_to(ROOT)) for path in ROOT.glob("templates/plugin/**/*.txt"))]
)
def test_what_authors_are_told_to_look_at_is_public(page: str) -> None:
    assert set(told((ROOT / page).read_text())) <= ROWS.keys()


@pytest.mark.parametrize("module", ROWS)
def test_what_is_public_can_be_imported_and_holds_what_the_page_says(module: str) -> None:
    found = importlib.import_module(module)
    names = [name for name in re.findall(r"`(\w+)`", ROWS[module]) if module != "modelyard.tasks" or name != "dodo"]
    assert [name for name in names if not hasattr(found, name)] == []
