"""This machine as an executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import StageFailed
from modelyard.execution.local import Local
from modelyard.execution.protocol import Request


def test_what_every_worker_imports_is_imported_before_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy_framework.py").write_text("open('imported', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {name: str(tmp_path / name) for name in ("project", "out", "cache", "result", "log")}
    request = Request(id=1, overrides={}, stage="train:net", inputs={}, **names)
    local = Local(("heavy_framework",))
    try:
        with pytest.raises(StageFailed, match=r"train:net: its process ended with exit code 1\n"):
            local.pool.run(request, tmp_path / "request.json", {}, (), lambda _: None)
    finally:
        local.close()
    assert (tmp_path / "imported").exists()
    assert "FileNotFoundError" in Path(request.log).read_text(), "the project is not there, and that is found later"


def test_builds_that_share_no_executor_share_no_workers_and_to_end_it_twice_does_no_harm() -> None:
    one, other = Local(), Local()
    assert one.pool is not other.pool
    assert [one.pool.number(), one.pool.number(), other.pool.number()] == [1, 2, 1]
    for _ in range(2):
        one.close()
