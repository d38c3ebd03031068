"""What a handler's own code may import: what the server has, when it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.launch.handler_imports import Imports, imports_modelyard, missing

TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from modelyard.artifacts import Splits\n"
IN_A_FUNCTION = "def data():\n    from modelyard.artifacts import Splits\n    return Splits\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import modelyard\n", True),
        ("try:\n    from modelyard.artifacts import Splits\nexcept ImportError:\n    Splits = None\n", True),
        ("class A:\n    import modelyard_plugins.support\n", True),
        (TYPES, False),
        ("import typing\nif typing.TYPE_CHECKING:\n    import modelyard\n", False),
        (IN_A_FUNCTION, False),
        ("from . import modelyard\n", False),
    ],
)
def test_modelyard_is_not_where_the_server_imports_it(source: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(source)
    assert imports_modelyard(tmp_path / "own.py") is expected


def test_what_is_imported_when() -> None:
    found = Imports(
        "import os.path\nif TYPE_CHECKING:\n    import a\nelse:\n    import b\nasync def f():\n    from c.d import e\n"
    )
    assert (found.at_once, found.later) == ({"os", "b"}, {"c"})


def test_what_is_not_pinned_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        f"import json\nimport numpy\nimport msgspec\nimport other\n{TYPES}{IN_A_FUNCTION}\ndef f():\n    import yaml\n"
    )
    (tmp_path / "other.py").touch()
    assert list(missing([own], tmp_path, frozenset({"numpy"}))) == ["msgspec", "PyYAML"]
    assert list(missing([own], tmp_path, frozenset({"numpy", "msgspec", "pyyaml"}))) == []
