from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from tests.front_door.builds import build

from modelyard.build.engine import Engine
from modelyard.errors import ToolError
from modelyard.preflight import refusal as preflight
from modelyard.project.load import load

Usage = namedtuple("Usage", "total used free")


def test_a_disk_with_less_room_than_the_last_results_took_is_told(
    toy_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(toy_project, "train").code == 0
    engine = Engine(load(toy_project, {"train.passes": "2"}))
    try:
        brief = engine.judge.brief(engine.plan.stages["train:model.build"])
        assert brief is not None
        size = sum(e.size for e in brief.outputs.values())
        names = ["dataset:points", "train:model.build", "optimize:plain"]
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, size))
        preflight.refuse(engine, names)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, size - 1))
        with pytest.raises(ToolError) as caught:
            preflight.refuse(engine, names)
        assert f"  train:model.build: the disk of {toy_project} has 0 MB free, and their last results" in str(
            caught.value
        )
        assert "    make room, for instance with `doit gc --max-size SIZE`" in str(caught.value)
        preflight.refuse(engine, ["dataset:points"])
    finally:
        engine.close()
