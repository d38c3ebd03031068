"""The reference page has every command, with the usage that `doit help` shows."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["run", "why", "plan", "accept", "history", "diff", "graph", "provenance", "report-diff"]
)
def test_every_command_is_on_the_page_with_its_usage(name):
    command = getattr(import_module(f"modelyard.commands.{name.replace('-', '_')}"), name.title().replace("-", ""))
    assert f"\n## doit {name}\n`doit {name} {command.doc_usage}`\n" in PAGE
    assert f"\n$ doit {name}" in PAGE or name == "run"
