"""The reference page has every command, with the usage that `doit help` shows; its examples are run in tests/docs."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
OWN = [point for point in entry_points(group="doit.COMMAND") if point.value.startswith("modelyard.")]
COMMANDS = [point for point in OWN if not point.value.startswith("modelyard.commands.doits:")]


@pytest.mark.parametrize("point", COMMANDS, ids=lambda point: point.name)
def test_every_command_is_on_the_page_with_its_usage(point: EntryPoint) -> None:
    usage = f"doit {point.name} {point.load().doc_usage}".rstrip()
    assert f"\n## doit {point.name}\n`{usage}`\n" in PAGE
