"""The executor `local`: the machine at hand, whether it is named or not."""

from __future__ import annotations

from pathlib import Path

from modelyard.build.engine import Engine
from modelyard.project.load import load


def keys(project: Path, **overrides: str) -> dict[str, str]:
    """Return the key of each stage that is known before a build."""
    engine = Engine(load(project, {key.replace("__", "."): value for key, value in overrides.items()}))
    try:
        verdicts = {stage.id: engine.judge.verdict(stage) for stage in engine.plan.stages.values()}
    finally:
        engine.close()
    return {name: one.fingerprint.key for name, one in verdicts.items() if one.fingerprint is not None}


def test_that_it_is_named_changes_no_key(toy_project: Path) -> None:
    unnamed = keys(toy_project)
    assert unnamed
    assert keys(toy_project, executor__use="local") == unnamed
    assert keys(toy_project, executor__use="local", seed="7") != unnamed, "else nothing would be seen"
