from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes.conftest import Deployer


def test_without_kubectl_the_way_to_it_is_said(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("kubectl") is None
    with pytest.raises(ToolError, match=r"kubectl is not found on PATH\n  install it"):
        deployer()
