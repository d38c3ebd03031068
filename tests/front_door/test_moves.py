"""What changes while a stage runs, even if it changes back, never shapes a result that is kept under the key of before."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.front_door.builds import artifacts, build, copy
from tests.front_door.conftest import TOY
from tests.front_door.gates import HeldBuild, add_gates
from tests.shared import usual


@dataclass(frozen=True)
class Move:
    """An input, and a stage that reads it.

    Attributes:
        file: the input, below the project.
        old, new: the bytes to replace, and by what.
        stage: the stage.
        argument: an override that makes the stage run.
        moved: what the message names; nothing if the stage has loaded the input when it begins, and never looks again.
    """

    file: str
    old: bytes
    new: bytes
    stage: str
    argument: str
    moved: str = ""


TRAIN = ("train:model.build", "train.passes=2")
MOVES = {
    "helper module": Move("helper.py", b"/ 2", b"/ 3", *TRAIN, "helper.py"),
    "model module": Move("model.py", b"shrink(width)", b"shrink(width * 3)", *TRAIN, "model.py"),
    "artifact": Move(
        "artifacts/dataset/points/train_x.npy",
        b"'fortran_order': False",
        b"'fortran_order': True ",
        *TRAIN,
        "the artifact of dataset:points",
    ),
    "template": Move(
        "templates/signature.txt.j2", b"modelyard", b"somebody", "render:note", "targets.note.greeting=hi", "template"
    ),
    "server file": Move("server/__init__.py", b"real", b"fake", "image:toy", "image.note=x", "runtime server"),
    "data file": Move("data/a.txt", b"origin", b"middle", "dataset:points", "dataset.noise=0.2", "dataset names"),
    "plugin": Move("plugins/toy.py", b"range(passes)", b"range(passes + 1)", *TRAIN),
    "pyproject": Move("pyproject.toml", b"[project]", b"[project]\ndescription = 'x'", *TRAIN),
}


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a toy project whose stages can be held, with a data file given by path, built; not to be changed."""
    folder = tmp_path_factory.mktemp("gated") / "toy"
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    add_gates(folder)
    (folder / "data").mkdir()
    for number, name in enumerate(("origin", "right", "up")):
        (folder / "data" / f"{'abc'[number]}.txt").write_text(name)
    config = folder / "pyproject.toml"
    config.write_text(config.read_text().replace('use = "points"', 'use = "points"\nnames = "data"'))
    done = build(folder)
    assert done.code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def noisy(gated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what an undisturbed build with `dataset.noise=0.2` makes."""
    undisturbed = copy(gated, tmp_path_factory.mktemp("noisy") / "toy")
    assert build(undisturbed, "dataset.noise=0.2").code == 0
    return artifacts(undisturbed)


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes as an editor or git does: by another file of the same name."""
    data = path.read_bytes()
    assert old in data
    beside = path.with_name(f"{path.name}~")
    beside.write_bytes(data.replace(old, new))
    beside.replace(path)


@pytest.mark.parametrize("kind", usual(MOVES, 1))
def test_an_input_that_changes_and_changes_back_while_a_stage_runs(gated: Path, tmp_path: Path, kind: str) -> None:
    move = MOVES[kind]
    undisturbed = copy(gated, tmp_path / "undisturbed")
    assert build(undisturbed, move.argument, move.stage).code == 0
    project = copy(gated, tmp_path / "toy")
    held = HeldBuild(project, move.stage, move.argument, move.stage)
    held.reach("start")
    replace(project / move.file, move.old, move.new)
    held.pass_on("start")
    held.reach("end")
    replace(project / move.file, move.new, move.old)
    code, output = held.finish()

    assert (code == 1) == bool(move.moved), output
    if move.moved:
        assert move.moved in output, output
        assert "run `doit` again" in output, output
    assert build(project, move.argument, move.stage).code == 0
    assert artifacts(project) == artifacts(undisturbed)


def test_code_that_changes_while_a_stage_runs_throws_nothing_away(gated: Path, tmp_path: Path) -> None:
    project = copy(gated, tmp_path / "toy")
    held = HeldBuild(project, TRAIN[0], TRAIN[1], "train")
    held.pass_on("start")
    held.reach("end")
    replace(project / "helper.py", b"/ 2", b"/ 4")
    (project / "model.py").write_text("def build(:")
    code, output = held.finish()

    assert code == 0, output
    assert "train:model.build: there is newer code by now: helper.py, model.py" in output, output
    model = project / "artifacts" / "train" / "model.build" / "model.toy"
    kept = model.read_bytes()
    assert b'"start": 2.0' in kept
    shutil.copy(gated / "model.py", project)
    assert build(project, TRAIN[1], "train").stages[TRAIN[0]] == "built"
    assert b'"start": 1.0' in model.read_bytes()
    replace(project / "helper.py", b"/ 4", b"/ 2")
    assert build(project, TRAIN[1], "train").stages[TRAIN[0]] == "restored"
    assert model.read_bytes() == kept


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("open(__file__).read()", "the stage read it as a file, too"),
        ("import subprocess; subprocess.run(['true'])", "the stage started true, which may have read it"),
        (
            "import multiprocessing; multiprocessing.get_context('spawn').Process(target=print).start()",
            "the stage started python",
        ),
    ],
    ids=["opened", "a program", "spawned"],
)
def test_code_that_changes_and_may_have_been_read_again_is_refused(
    gated: Path, tmp_path: Path, line: str, why: str
) -> None:
    project = copy(gated, tmp_path / "toy")
    replace(project / "model.py", b"    return {", f"    {line}\n    return {{".encode())
    held = HeldBuild(project, TRAIN[0], "train")
    held.pass_on("start")
    held.reach("end")
    replace(project / "model.py", b"Return what", b"Give what")
    code, output = held.finish()

    assert code == 1, output
    assert "changed while the stage ran: model.py" in output, output
    assert why in output, output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            b'use = "centroids"', b'use = "centroids"\npasses = 3', marks=pytest.mark.thorough, id="a later parameter"
        ),
        pytest.param(b'rounded = [{ use = "round", decimals = 1 }, "pack"]\n', b"", id="a variant that is gone"),
        pytest.param(b"[tool.modelyard.gates]", b"[tool.modelyard.gates", id="not TOML"),
    ],
)
def test_a_configuration_that_changes_during_a_build_ends_it_in_words(
    gated: Path, noisy: dict[str, bytes], tmp_path: Path, old: bytes, new: bytes
) -> None:
    project = copy(gated, tmp_path / "toy")
    held = HeldBuild(project, "dataset:points", "dataset.noise=0.2")
    held.reach("start")
    replace(project / "pyproject.toml", old, new)
    code, output = held.finish()

    assert code == 1, output
    assert "pyproject.toml" in output, output
    assert "Traceback" not in output, output
    assert "KeyError" not in output, output
    shutil.copy(gated / "pyproject.toml", project)
    assert build(project, "dataset.noise=0.2").code == 0
    assert artifacts(project) == noisy


@pytest.mark.parametrize("name", [b"new\nline", b"t\tab", b"latin-\xe9"])
def test_a_path_that_no_line_can_hold_is_refused_at_once(tmp_path: Path, name: bytes) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    shutil.copytree(TOY, folder)
    done = build(folder, "list")
    assert done.code == 3, done.output
    assert "rename the folder" in done.output, done.output
    assert "Traceback" not in done.output, done.output
