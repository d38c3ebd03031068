"""The workers as the `doit` process sees them; what they run is tested through the front door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import StageFailed
from modelyard.execution.pool import Pool
from modelyard.execution.protocol import Request


def request_in(folder: Path) -> Request:
    names: dict[str, Any] = {name: str(folder / name) for name in ("project", "out", "cache", "result", "log")}
    return Request(id=1, overrides={}, stage="train:net", inputs={}, **names)


@pytest.mark.parametrize(("of_pool", "of_request"), [((), ("crashes",)), (("crashes",), ())])
def test_a_worker_that_crashes_leaves_its_last_words_in_the_log(
    of_pool: tuple[str, ...], of_request: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports what every worker of the pool does, and what a request asks for."""
    crash = "import os, sys\nsys.stderr.write('no such instruction\\n')\nsys.stderr.flush()\nos.abort()\n"
    (tmp_path / "crashes.py").write_text(crash)
    monkeypatch.chdir(tmp_path)
    request = request_in(tmp_path)
    pool = Pool(of_pool)
    try:
        with pytest.raises(StageFailed, match=r"train:net: its worker process ended without an answer\n.*log"):
            pool.run(request, tmp_path / "request.json", {}, of_request, lambda event: None)
    finally:
        pool.close()
    assert Path(request.log).read_text() == "no such instruction\n"


def test_a_project_process_that_cannot_start_says_why_in_the_log(tmp_path: Path) -> None:
    request = request_in(tmp_path)  # whose project is not there
    pool = Pool()
    try:
        with pytest.raises(StageFailed, match="train:net: its process ended with exit code 1"):
            pool.run(request, tmp_path / "request.json", {}, (), lambda event: None)
    finally:
        pool.close()
    assert "FileNotFoundError" in Path(request.log).read_text()
