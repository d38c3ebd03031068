from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from modelyard.execution import worker

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_module_whose_file_is_nowhere_makes_no_project_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.ops calls itself after `_ops.py`: a project that is loaded beside it would count as changed for ever."""
    odd = types.ModuleType("odd")
    odd.__file__ = "_ops.py"
    monkeypatch.setitem(sys.modules, "odd", odd)
    (tmp_path / "pyproject.toml").write_text("")
    stamps = worker._stamps(tmp_path)
    assert str(tmp_path / "pyproject.toml") in stamps
    assert "_ops.py" not in stamps
