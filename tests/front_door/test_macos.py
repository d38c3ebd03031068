"""A build without what macOS lacks: no Mac is at hand, so it is taken away from every Python that the build starts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.front_door.builds import build
from tests.standins import as_on_macos

if TYPE_CHECKING:
    from pathlib import Path


def test_a_build_without_what_linux_alone_has(new_toy: Path) -> None:
    done = build(new_toy, env={"PYTHONPATH": as_on_macos()})
    again = build(new_toy, env={"PYTHONPATH": as_on_macos()})

    assert done.code == 0, done.output
    assert set(done.stages.values()) == {"built"}
    assert set(again.stages.values()) == {"fresh"}, again.output
    host = json.loads((new_toy / "artifacts/evaluate/plain/latency.json").read_text())["host"]
    assert host["cpus"] == []
    assert json.loads((new_toy / "artifacts/train/model.build/stage.json").read_text())["peak_memory_bytes"] > 10**6
