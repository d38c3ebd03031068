"""Same key, same bytes: what a machine has more or less of than another is in the key, or is kept from what computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modelyard.keys import machine
from modelyard.kinds import BUILT_IN
from tests.front_door.builds import build
from tests.front_door.knobs import EVALUATE

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = '''
import json
import os

from modelyard import hookimpl

SEEN = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "ONEDNN_MAX_CPU_ISA")


def note(context, *, random: bool = False):
    """Write down what a framework would be told."""
    seen = {name: os.environ.get(name) for name in SEEN}
    model = json.loads(context.model.path.read_text())
    model |= {"seen": seen, "threads": context.threads, "random": os.urandom(4).hex() if random else ""}
    (context.out / "model.toy").write_text(json.dumps(model))


@hookimpl
def modelyard_register_optimizers(register):
    register("note", note, accepts=("toy",), produces="toy")
'''
NOTED = 'plain = ["pack"]\nnoted = ["note", "pack"]'


@pytest.fixture
def noted(new_toy: Path) -> Path:
    """Return a toy project with a model optimizer that writes down its environment."""
    (new_toy / "plugins" / "note.py").write_text(PLUGIN)
    pyproject = new_toy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('plain = ["pack"]', NOTED))
    return new_toy


def seen(project: Path) -> dict[str, object]:
    model = json.loads((project / "artifacts/optimize/note/model.toy").read_text())
    return {"threads": model["threads"], **model["seen"]}


def record(project: Path, stage: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((project / "artifacts" / stage.replace(":", "/") / "stage.json").read_text())
    return found


def test_how_many_threads_compute_is_a_setting_whatever_the_machine_has(noted: Path) -> None:
    done = build(noted, "optimize:note", env={"OMP_NUM_THREADS": "7"})
    assert done.code == 0, done.output
    assert seen(noted) == {
        "threads": 2,
        "OMP_NUM_THREADS": "2",
        "TF_NUM_INTRAOP_THREADS": "2",
        "ONEDNN_MAX_CPU_ISA": None,
    }

    other = build(noted, "threads=3", "optimize:note")
    assert {"train:model.build", "optimize:note"} <= other.built, other.output
    assert seen(noted)["OMP_NUM_THREADS"] == "3"

    assert build(noted, "optimize:note").built == set()
    why = build(noted, "why", "train", env={"ONEDNN_MAX_CPU_ISA": "AVX2"}).output
    assert "environment ONEDNN_MAX_CPU_ISA: (none) -> AVX2" in why
    assert "threads: 2 -> 4" in build(noted, "why", "train", "threads=4").output


def test_threads_and_instructions_that_are_none_are_refused(noted: Path) -> None:
    for value in ("0", "true", "many", "1.5"):
        done = build(noted, "list", f"threads={value}")
        assert "key 'threads'" in done.output
        assert "allowed: a whole number from 1 to 1024" in done.output
    done = build(noted, "list", "isa=avx1024")
    assert "key 'isa': 'avx1024' is not allowed\n  allowed: 'avx2', or leave it out" in done.output


@pytest.mark.skipif(not machine.has_instruction_set("avx2"), reason="this machine has no AVX2")
def test_the_instructions_that_compute_can_be_bounded(noted: Path) -> None:
    assert build(noted, "optimize:note").code == 0

    done = build(noted, "isa=avx2", "optimize:note")

    assert "optimize:note" in done.built, done.output
    assert seen(noted)["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "isa: avx2 -> (none)" in build(noted, "why", "optimize:note").output


def with_machine(folder: Path, **answers: object) -> dict[str, str]:
    """Return the environment of a build on a machine that answers so, made up where `modelyard.keys.machine` looks."""
    folder.mkdir(exist_ok=True)
    lines = [f"machine.{name} = lambda *_: {answer!r}" for name, answer in answers.items()]
    (folder / "sitecustomize.py").write_text("\n".join(["from modelyard.keys import machine", *lines]))
    return {"PYTHONPATH": os.pathsep.join(p for p in (str(folder), os.environ.get("PYTHONPATH")) if p)}


def test_a_machine_without_these_instructions_is_told_before_anything_runs(toy: Path, tmp_path: Path) -> None:
    old = with_machine(tmp_path / "old", has_instruction_set=False, made_on="x86_64 sse4.2 (Old CPU)")

    done = build(toy, "isa=avx2", env=old)

    assert done.code != 0
    assert done.stages == {}
    assert "this machine has no avx2: x86_64 sse4.2 (Old CPU)" in done.output
    assert "build on one that has, or leave `isa` out of [tool.modelyard]" in done.output


def test_what_an_accelerator_makes_has_a_key_of_its_own(toy: Path, tmp_path: Path) -> None:
    gpu = with_machine(tmp_path / "gpu", find_accelerator="cuda Toy 9000")

    done = build(toy, env=gpu)

    kinds = {stage.partition(":")[0] for stage in done.built}
    assert kinds >= {row.name for row in BUILT_IN.values() if row.host_bound}, done.output
    assert "accelerator: cuda Toy 9000 -> cpu" in build(toy, "why", "train").output
    trained = record(toy, "train:model.build")
    assert not trained["reproducible"]
    assert str(trained["made_on"]).endswith(", cuda Toy 9000")
    provenance = build(toy, "provenance", "train", env=gpu).output
    assert f"made on: {trained['made_on']}, not reproducible" in provenance

    back = build(toy)
    assert back.built <= {"select:toy", *EVALUATE}, back.output
    assert record(toy, "train:model.build")["reproducible"]


def test_other_bytes_under_one_key_are_told_with_the_machines_that_made_them(noted: Path, tmp_path: Path) -> None:
    pyproject = noted / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('["note", "pack"]', '[{ use = "note", random = true }, "pack"]'))
    one, other = (with_machine(tmp_path / name, made_on=f"x86_64 {name}") for name in ("avx2", "avx512"))
    assert build(noted, "optimize:noted", env=one).code == 0

    alike = build(noted, "-a", "optimize:note", env=one).output
    unlike = build(noted, "-a", "optimize:note", env=other).output

    assert "optimize:note: with the same key it made other bytes than before; take its random numbers from" in alike
    assert "with the same key it made other bytes than before; then on x86_64 avx2, now on x86_64 avx512" in unlike
    diff = build(noted, "diff", "optimize:note@1", "optimize:note@0").output
    assert "machines:\n  made on: x86_64 avx2 -> x86_64 avx512" in diff
    assert "the same key made other bytes" in diff
    why = build(noted, "why", "optimize:noted").output
    assert "with the same key (then on x86_64 avx2, now on x86_64 avx512)" in why

    stage = noted / "artifacts/optimize/note/stage.json"
    newer = stage.read_bytes()
    assert build(noted, "-a", "optimize:note", env=one).code == 0
    stage.write_bytes(newer)  # as another project, that shares the store, has it
    verify = build(noted, "verify").output
    assert "(it was made on x86_64 avx512, the store's on x86_64 avx2)" in verify


DIGITS = """
[tool.modelyard]
name = "digits"
[tool.modelyard.dataset]
use = "digits"
[tool.modelyard.model]
use = "{model}"
[tool.modelyard.train]
use = "{trainer}"
epochs = 1
[tool.modelyard.runtime]
use = "{runtime}"
[tool.modelyard.variants]
float32 = ["{export}"]
"""
FRAMEWORKS = [
    pytest.param("digits-cnn", "tensorflow", "litert", "float32", marks=pytest.mark.tensorflow, id="tensorflow"),
    pytest.param("digits-cnn-torch", "torch", "onnxruntime", "torch-onnx", marks=pytest.mark.torch, id="torch"),
]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(("model", "trainer", "runtime", "export"), FRAMEWORKS)
def test_a_training_on_one_core_gives_the_bytes_of_one_on_several(
    model: str, trainer: str, runtime: str, export: str, new_toy: Path
) -> None:
    """And with another number of threads, which gives other bytes with both frameworks, it has another key."""
    (new_toy / "pyproject.toml").write_text(DIGITS.format(model=model, trainer=trainer, runtime=runtime, export=export))
    (new_toy / "plugins" / "toy.py").unlink()
    stage = f"train:{model}"
    found = []
    for cpus, arguments in ((None, ()), ("0", ("-a",)), (None, ("threads=1",))):
        command = [sys.executable, "-m", "doit", *arguments, stage]
        command = ["taskset", "-c", cpus, *command] if cpus else command
        done = subprocess.run(command, cwd=new_toy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "other bytes" not in done.stdout
        found.append(record(new_toy, stage))

    several, one, other = found
    assert (several["key"], several["digest"]) == (one["key"], one["digest"])
    assert several["started"] != one["started"], "it was trained again"
    assert other["key"] != several["key"]
    assert other["digest"] != several["digest"]
