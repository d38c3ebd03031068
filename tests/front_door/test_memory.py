"""`peak_memory_bytes` in stage.json is what the stage itself took, though stages are forked from one process."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

from tests.front_door.builds import build

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
from modelyard import hookimpl


def hungry(context, *, megabytes: int = 0, mapped: str = ""):
    """Take memory or map a file, and copy the model."""
    taken = b"x" * (megabytes * 10**6)
    if mapped:
        import numpy as np

        np.memmap(mapped, mode="r").sum()
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


def test_a_mapped_file_is_no_memory_of_the_stage(new_toy: Path) -> None:
    """The data set of a training is mapped: of 6 GB of samples, none need be in memory at once."""
    (new_toy / "plugins" / "hungry.py").write_text(PLUGIN)
    pyproject = new_toy / "pyproject.toml"
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:  # not in memory, as /tmp may be
        file.truncate(10**9)
        variant = f'mapped = [{{ use = "hungry", mapped = "{file.name}" }}, "pack"]'
        pyproject.write_text(pyproject.read_text().replace('plain = ["pack"]', f'plain = ["pack"]\n{variant}'))
        done = build(new_toy, "optimize:mapped")
    assert done.code == 0, done.output
    record = json.loads((new_toy / "artifacts/optimize/hungry/stage.json").read_text())
    assert 5e6 < record["peak_memory_bytes"] < 400e6, "what was mapped since the last look may count"
