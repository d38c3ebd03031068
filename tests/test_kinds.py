"""The table of kinds of stage: what a row says is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from modelyard.component import KINDS
from modelyard.frontend.task_names import FOREGROUND
from modelyard.hookspecs import HOOKS
from modelyard.kinds import AROUND, BUILT_IN, Kind

ROOT = Path(__file__).parents[1]
ROWS = list(BUILT_IN.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_a_row_names_is_there(row: Kind) -> None:
    assert callable(importlib.import_module(row.runner).run)
    assert all(hook.name in HOOKS for hook in (*AROUND, *row.hooks))
    assert set(row.calls or ()) <= set(KINDS)
    if row.lacks:
        module, _, function = row.lacks.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_every_runner_of_modelyard_s_own_stages_has_a_row() -> None:
    folder = ROOT / "src/modelyard/stages"
    runners = {f"modelyard.stages.{file.stem}" for file in folder.glob("*.py") if "\ndef run(job" in file.read_text()}
    assert runners == {row.runner for row in ROWS} | {"modelyard.stages.registered"}


@pytest.mark.parametrize("file", ["dodo.py", "templates/project/dodo.py.txt", "tests/projects/toy/dodo.py"])
def test_dodo_describes_the_tasks_as_the_table_does(file: str) -> None:
    functions = [node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)]
    described = {node.name.removeprefix("task_"): ast.get_docstring(node) for node in functions}
    described.pop("others")
    assert described == {row.name: row.title for row in ROWS} | FOREGROUND
    assert list(described) == [*BUILT_IN, *FOREGROUND], "in the order of a build"
