"""A project whose tables a test changes, loaded."""

from __future__ import annotations

import pytest
from tests.configs import Load


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return Load(tmp_path_factory.mktemp("config") / "some project")
