"""What of a machine is in keys: this one's, and that of an executor's machines, each for the stages that run there."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from modelyard.files.digests import DigestTable
from modelyard.keys.action_key import Fingerprinter
from modelyard.keys.platform import HERE, Described, describe
from modelyard.project.load import load

if TYPE_CHECKING:
    from pathlib import Path

THERE = Described(
    python="3.11",
    machine="aarch64",
    accelerator="cuda NVIDIA H100",
    environment={"OPENBLAS_CORETYPE": "ARMV8"},
    distributions={"numpy": "9.9.9"},
)


def parts(project: Path, folder: Path, kinds: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return the parts of each stage's key where those of `kinds` run elsewhere."""
    loaded = load(project)
    printer = Fingerprinter(
        loaded.folder,
        DigestTable(folder / "state.sqlite"),
        loaded.plugins,
        lambda stage: THERE if stage.kind in kinds else HERE,
    )
    stages = loaded.plan.stages.values()
    return {stage.id: printer.fingerprint(stage, lambda stage, part: f"{stage}/{part}").parts for stage in stages}


def test_a_stage_s_key_is_of_the_machine_that_it_runs_on(toy_project: Path, tmp_path: Path) -> None:
    (toy_project / "plugins" / "more.py").write_text("import numpy\n")
    here, there = parts(toy_project, tmp_path, ()), parts(toy_project, tmp_path, ("train", "evaluate"))
    changed = {name for name in here if here[name] != there[name]}
    assert changed == {name for name in here if name.startswith(("train:", "evaluate:"))}
    one = there["train:model.build"]
    assert (one["python"], one["machine"], one["accelerator"]) == ("3.11", "aarch64", "cuda NVIDIA H100")
    assert one["environment OPENBLAS_CORETYPE"] == "ARMV8"
    assert one["version numpy"] == "9.9.9"
    assert here["train:model.build"]["version numpy"] == version("numpy")
    assert there["optimize:plain"]["version numpy"] == version("numpy"), (
        "a component of one kind, in stages here and there"
    )


def test_a_machine_describes_itself_by_a_command() -> None:
    command = [sys.executable, "-m", "modelyard.keys.platform", "SHOE_SIZE", "HAT_SIZE"]
    said = subprocess.run(command, check=True, capture_output=True, env={"SHOE_SIZE": "43"}, text=True).stdout
    found = msgspec.json.decode(said, type=Described)
    assert found.environment == {"SHOE_SIZE": "43"}
    assert (found.python, found.machine, found.accelerator) == (HERE.python, HERE.machine, HERE.accelerator)
    assert found.versions(["msgspec", "no-such-thing"]) == {
        "msgspec": version("msgspec"),
        "no-such-thing": "not installed",
    }
    assert list(json.loads(said)) == list(Described.__struct_fields__)


def test_names_of_distributions_may_be_spelt_in_any_way() -> None:
    assert describe([]).versions(["MSGSPEC"]) == {"MSGSPEC": version("msgspec")}
