"""Every module of the core has its test where a reader looks for it: src/modelyard/ROOM/x.py and tests/ROOM/test_x.py."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src/modelyard"


def missing() -> dict[str, list[str]]:
    """Return, for each room, the modules that have no test of their name; a package's own module is tried with the others."""
    found = defaultdict(list)
    for module in sorted(CORE.rglob("*.py")):
        room = module.relative_to(CORE).parent
        test = ROOT / "tests" / room / f"test_{module.stem.strip('_')}.py"
        if module.name != "__init__.py" and not test.exists():
            found[room.as_posix()].append(module.name)
    return found


def test_every_module_has_a_test_of_its_name() -> None:
    assert missing() == {}, "write tests/ROOM/test_MODULE.py for each of these, of what the module promises by itself"


def always_run(test: Path) -> bool:
    """Tell whether a file has a test that a run without `-m thorough` has, too."""
    tree = ast.parse(test.read_text())
    marks = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)
    ]
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    usual = [node for node in tests if "pytest.mark.thorough" not in map(ast.unparse, node.decorator_list)]
    return bool(usual) and not any("thorough" in mark for mark in marks)


def test_each_module_that_has_a_test_of_its_name_is_tried_in_every_run() -> None:
    mirrors = (ROOT / "tests" / m.relative_to(CORE).parent / f"test_{m.stem.strip('_')}.py" for m in CORE.rglob("*.py"))
    assert [test.name for test in mirrors if test.exists() and not always_run(test)] == []
