"""A toy project whose components need something, and what is found of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.build.placement import Placement
from modelyard.files.digests import DigestTable
from modelyard.preflight.needs import Finding, find
from modelyard.project.load import load

Find = Callable[..., list[Finding]]


@pytest.fixture
def lacks(toy_project: Path, tmp_path: Path) -> Find:
    """Return a function that says what the toy lacks for its stages, or those named, and for tasks."""

    def found(
        *tasks: str, stages: tuple[str, ...] | None = None, overrides: dict[str, str] | None = None
    ) -> list[Finding]:
        project = load(toy_project, overrides)
        plan = project.plan.stages
        placement = Placement(project, DigestTable(tmp_path / "state.sqlite"), lambda _: None)
        return find(project, [plan[name] for name in (plan if stages is None else stages)], tasks, placement=placement)

    return found


def add_trait(project: Path, component: str, traits: str, code: str = "") -> None:
    """Register a component of the toy with more `traits`, which `code` may define."""
    file = project / "plugins" / "toy.py"
    text = file.read_text()
    [start] = [line.strip() for line in text.splitlines() if line.strip().startswith(f'register("{component}", ')]
    assert start.endswith(")")
    text = text.replace(start, f"{start[:-1]}, {traits})")
    file.write_text(text.replace("\n\n@hookimpl", f"\n\n{code}\n\n@hookimpl", 1))
