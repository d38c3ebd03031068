"""Kills of `doit` before chosen calls to the system, where `test_faults.py` leaves the instant to chance."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

from tests.front_door.builds import artifacts, build
from tests.front_door.test_faults import finished, goes_on

SHIMS = Path(__file__).parent / "shims"
STEP = 127 if "MODELYARD_KILLS" not in os.environ else 3
"""How many calls lie between two kills; the long run takes every third."""


def test_a_build_that_is_killed_before_a_call_goes_on_where_it_was(
    new_toy: Path, built_toy: Path, tmp_path: Path
) -> None:
    expected = artifacts(built_toy)
    kills = 0
    for call in itertools.count(11, STEP):
        project = Path(shutil.copytree(new_toy, tmp_path / "killed"))
        killed = build(project, env={"PYTHONPATH": str(SHIMS), "KILL_AT": str(call)})
        assert "Traceback" not in killed.output, killed.output
        if killed.code == 0:
            break
        assert killed.code == -9, killed.output
        kills += 1
        goes_on(project, expected, finished(killed.output))
        assert not list(project.rglob(".*json*")), "nothing half-written stays"
        shutil.rmtree(project)
    assert kills >= 4, "a build makes more calls than that"
