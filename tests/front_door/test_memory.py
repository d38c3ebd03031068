"""`peak_memory_bytes` in stage.json is what the stage itself took, though stages are forked from one process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.front_door.builds import build

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
from modelyard import hookimpl


def hungry(context, *, megabytes: int = 0):
    """Take memory and copy the model."""
    taken = b"x" * (megabytes * 10**6)
    (context.out / "model.toy").write_bytes(context.model.path.read_bytes())


@hookimpl
def modelyard_register_optimizers(register):
    register("hungry", hungry, accepts=("toy",), produces="toy")
'''
MATRIX = """
[tool.modelyard.matrix.hungry]
megabytes = [1, 300, 2]
chain = [{ use = "hungry", megabytes = "{megabytes}" }, "pack"]
"""


def test_a_stages_peak_memory_is_its_own_whatever_ran_before(new_toy: Path) -> None:
    (new_toy / "plugins" / "hungry.py").write_text(PLUGIN)
    pyproject = new_toy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + MATRIX)
    done = build(new_toy, "optimize")
    assert done.code == 0, done.output
    peaks = {
        path.parent.name.rpartition("-")[2]: json.loads(path.read_text())["peak_memory_bytes"]
        for path in new_toy.glob("artifacts/optimize/hungry-megabytes-*/stage.json")
    }
    assert peaks.keys() == {"1", "2", "300"}
    assert 300e6 < peaks["300"] < 420e6
    for name in ("1", "2"):
        assert 5e6 < peaks[name] < 120e6, "neither the memory of another stage nor none"
