from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.build.engine import Engine
from modelyard.frontend.ending import end_build
from modelyard.project.load import load
from modelyard.store.roots import roots_file


@pytest.fixture
def engine(toy_project: Path) -> Iterator[Engine]:
    """Return an engine for a project of which nothing is built."""
    engine = Engine(load(toy_project))
    (toy_project / "artifacts").mkdir(exist_ok=True)
    yield engine
    engine.close()


@pytest.fixture
def told() -> list[str]:
    return []


def build_json(engine: Engine) -> Path:
    return engine.workspace.artifacts / "build.json"


def test_what_a_build_did_is_written_down_and_the_store_knows_what_the_project_needs(
    engine: Engine, told: list[str]
) -> None:
    engine.journal.outcomes["dataset:points"] = "built"
    engine.journal.failures["train:net"] = "no"
    end_build(engine, changed=True, looked=False, tell=told.append)
    assert told == []
    assert json.loads(engine.workspace.journal_file.read_text()) == {
        "outcomes": {"dataset:points": "built"},
        "failures": {"train:net": "no"},
    }
    assert roots_file(engine.store.root, engine.project.folder).exists()
    assert json.loads(build_json(engine).read_text())["project"]["name"] == "toy"


@pytest.mark.parametrize(
    ("changed", "looked", "is_there", "is_written"),
    [
        (True, False, True, True),
        (False, True, False, True),
        (False, True, True, False),
        (False, False, False, False),
    ],
)
def test_provenance_is_read_anew_where_something_changed_or_nobody_has_it(
    changed: bool, looked: bool, is_there: bool, is_written: bool, engine: Engine, told: list[str]
) -> None:
    if is_there:
        build_json(engine).write_text("before")
    end_build(engine, changed=changed, looked=looked, tell=told.append)
    assert (build_json(engine).exists() and build_json(engine).read_text() != "before") is is_written


def test_a_run_in_which_nothing_happened_leaves_what_the_one_before_wrote_down(engine: Engine, told: list[str]) -> None:
    engine.workspace.journal_file.write_text("before")
    end_build(engine, changed=False, looked=True, tell=told.append)
    assert engine.workspace.journal_file.read_text() == "before"


def test_what_cannot_be_written_is_a_warning_and_the_rest_is_written(engine: Engine, told: list[str]) -> None:
    engine.journal.outcomes["dataset:points"] = "built"
    build_json(engine).mkdir()
    engine.workspace.journal_file.mkdir()
    end_build(engine, changed=True, looked=False, tell=told.append)
    provenance, journal = told
    assert provenance.startswith("artifacts/build.json could not be written: ")
    assert journal == f"warning: {engine.workspace.journal_file}: cannot be written: Is a directory"
    assert roots_file(engine.store.root, engine.project.folder).exists()


def test_a_store_that_cannot_be_written_is_a_warning(engine: Engine, told: list[str]) -> None:
    roots = roots_file(engine.store.root, engine.project.folder)
    roots.parent.parent.mkdir(parents=True, exist_ok=True)
    roots.parent.write_text("in the way")
    end_build(engine, changed=True, looked=False, tell=told.append)
    [warning] = told
    first, then = warning.splitlines()
    assert first == f"warning: {roots.parent}: File exists"
    assert then.endswith("what was built is kept")
