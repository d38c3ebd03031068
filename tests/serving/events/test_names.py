"""Whoever filters events knows the names of those that answer, from the documentation, or without the server."""

from __future__ import annotations

import ast
from pathlib import Path

from modelyard.serving.events import names

DOCS = Path(__file__).parents[3] / "docs/reference/serving.md"


def test_the_documentation_says_what_answers_are_called() -> None:
    page = DOCS.read_text()
    assert f"Its `type` is `{names.RESULT}`" in page
    assert f"an event `{names.ERROR}`" in page


def test_whoever_has_the_names_has_imported_nothing_of_the_server() -> None:
    tree = ast.parse(Path(names.__file__).read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
