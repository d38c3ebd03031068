from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.project.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, tmp_path / ".modelyard")
