"""An engine for the toy project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.build.engine import Engine
from modelyard.project.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Doit


@pytest.fixture
def engine(toy_project: Path, doit: Doit) -> Iterator[Engine]:
    """Return an engine for the toy project, which is built."""
    doit(toy_project)
    engine = Engine(load(toy_project))
    yield engine
    engine.close()
