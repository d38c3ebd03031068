from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from modelyard.config.scalar import scalar
from modelyard.errors import ConfigError
from modelyard.toml.places import ConfigSource, Where

Share = Annotated[float, msgspec.Meta(ge=0, le=1, description="a fraction from 0 to 1")]


@pytest.fixture
def table(tmp_path: Path) -> Where:
    """The table `[tool.modelyard]` of a file that says nothing."""
    (tmp_path / "pyproject.toml").touch()
    return Where(ConfigSource(tmp_path / "pyproject.toml"))


@pytest.mark.parametrize(("value", "kind"), [(3, int), ("a", str), (0.5, Share), (1, Share), (None, int | None)])
def test_a_value_of_its_kind_is_taken(table: Where, value: Any, kind: Any) -> None:
    assert scalar("key", value, kind, table) == value


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (2.0, Share, r"\[tool\.modelyard\]: key 'key': 2.0 is not allowed\n  allowed: a fraction from 0 to 1"),
        ("3", int, r"key 'key': '3' is not allowed\n  allowed: int"),
        (True, int, r"key 'key': True is not allowed\n  allowed: int"),
        ({}, str, r"key 'key': \{\} is not allowed\n  allowed: str"),
    ],
)
def test_another_is_refused_with_what_is_allowed(table: Where, value: Any, kind: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        scalar("key", value, kind, table)
