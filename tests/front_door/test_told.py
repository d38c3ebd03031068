"""What a person is told, through the front door: where a mistake is, what it is, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Doit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("command", ["list", "plan"])
def test_a_key_that_is_refused_has_its_line(command: str, toy_project: Path, doit: Doit) -> None:
    file = toy_project / "pyproject.toml"
    lines = file.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "decimals" in line)
    file.write_text(file.read_text().replace("decimals", "decimal", 1))
    done = doit(toy_project, command)
    where = f"pyproject.toml:{number}: [tool.modelyard.variants.rounded]"
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"ERROR: {where}: unknown key 'decimal', did you mean 'decimals'?",
        "  the optimizer 'round' takes: decimals; run `doit plugins round`",
    ]


def test_a_value_of_the_command_line_is_named_as_it_was_written(toy_project: Path, doit: Doit) -> None:
    done = doit(toy_project, "list", "train.passes=many")
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: command line: train.passes=many: key 'passes': 'many' is not allowed: ")
    assert len(done.stderr.splitlines()) == 2
