"""The mutation matrix: for every kind of input, a change runs exactly the stages that depend on it, and no other.

Undoing the change runs nothing: every result comes back from the store. And what changes no meaning runs nothing.
"""

from __future__ import annotations

import compileall
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from modelyard.config.tables import TABLES, parameters_of_table
from modelyard.plugins.load import load_plugins
from tests.examples.environments import clean
from tests.front_door.builds import Build, artifacts, build, copy, read_lines
from tests.front_door.knobs import KNOBS, MEANINGFUL, MEANINGLESS, UNTOUCHED, State
from tests.front_door.oracle import Rebuilt
from tests.front_door.world import TOY


@pytest.fixture(scope="session")
def built_world(tmp_path_factory: pytest.TempPathFactory) -> Rebuilt:
    """Return the project that everything can be changed in, built; not to be changed."""
    return Rebuilt.first(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(built_world: Rebuilt, tmp_path: Path) -> Rebuilt:
    """Return a copy of the built project, to be changed."""
    return built_world.copy(tmp_path / "root")


@pytest.fixture(scope="module")
def turned() -> list[Rebuilt]:
    """Hold the project in which the change before was tried, if that went well."""
    return []


FIRST = {name.partition(".")[0]: name for name in reversed(MEANINGFUL)}.values()
"""One key of each table, and each kind of code and version; further keys of a table are tried by thorough runs."""


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[] if one in FIRST else [pytest.mark.thorough]) for one in MEANINGFUL]
)
def test_a_change_runs_what_depends_on_it_and_undoing_the_one_before_runs_nothing(
    built_world: Rebuilt, turned: list[Rebuilt], tmp_path: Path, name: str
) -> None:
    """Each build undoes the change before and makes the next: it is checked stage by stage, and byte by byte."""
    world = turned.pop() if turned else built_world.copy(tmp_path / "root")

    done = world.build(State().turned(name, 1))

    assert MEANINGFUL[name].stages & done.built, done.output
    turned.append(world)


def test_undoing_a_change_runs_nothing(built_world: Rebuilt, turned: list[Rebuilt], tmp_path: Path) -> None:
    world = turned.pop() if turned else built_world.copy(tmp_path / "root")
    world.build(State().turned(next(iter(MEANINGFUL)), 1))

    undone = world.build(State())

    assert undone.built == set(), undone.output
    assert artifacts(world.project) == artifacts(built_world.project)


def test_what_changes_no_meaning_runs_nothing(world: Rebuilt) -> None:
    state = State(tuple((name, 1) for name in MEANINGLESS))

    done = world.build(state)

    assert set(done.stages.values()) == {"fresh"}, done.output


def test_touching_every_file_runs_nothing(world: Rebuilt) -> None:
    for file in world.root.rglob("*"):
        os.utime(file, (1, 1)) if file.is_file() and not file.is_symlink() else None

    assert set(world.build(State()).stages.values()) == {"fresh"}


def test_every_parameter_and_setting_is_a_knob() -> None:
    tables = {"trainer": "train", "builder": "image", "target": "targets.note"}
    used = {"points", "centroids", "toy", "tarball", "note"}
    found = {f"{table}.{key}" for table in TABLES for key in parameters_of_table(table)}
    for (kind, name), component in load_plugins(TOY).components.items():
        table = name if kind == "optimizer" else tables.get(kind, kind)
        if name in used or (kind == "optimizer" and name in ("round", "scale")):
            found |= {f"{table}.{parameter}" for parameter in component.parameters}

    assert found - KNOBS.keys() - UNTOUCHED.keys() == set(), "add each to tests/front_door/knobs.py"


def test_only_what_follows_from_new_bytes_runs(toy: Path) -> None:
    """The trainer's second pass gives the same model: nothing after it runs (early cutoff)."""
    assert build(toy, "train.passes=2").built == {"train:model.build"}


def test_a_data_file_with_the_same_time_and_size(toy: Path) -> None:
    table = toy / "table.csv"
    rows = [f"{i % 3 == 1:d}.0,{i % 3 == 2:d}.0,{i % 3}" for i in range(30)]
    table.write_text("\n".join(rows))
    overrides = ("dataset.table=table.csv", "dataset")
    build(toy, *overrides)
    stamp = table.stat()

    table.write_text("\n".join(["0.5,0.0,0", *rows[1:]]))
    os.utime(table, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert table.stat().st_size == stamp.st_size
    assert build(toy, *overrides).built == {"dataset:points"}


def test_compiling_the_python_of_an_input_folder_runs_nothing(toy: Path) -> None:
    """A stage that imports what its input folder holds leaves compiled modules there."""
    words = toy / "words"
    words.mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "shared.py"):
        (words / name).write_text(f"name = {name!r}\n")
    overrides = ("dataset.names=words", "dataset")
    build(toy, *overrides)

    compileall.compile_dir(words, quiet=1)

    assert build(toy, *overrides).stages == {"dataset:points": "fresh"}


def test_another_folder_umask_time_zone_and_language_run_nothing(toy: Path, tmp_path: Path) -> None:
    elsewhere = copy(toy, tmp_path / "deeper" / "other name")
    old = os.umask(0o077)
    try:
        done = build(
            elsewhere, env={"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "5", "HOME": str(tmp_path)}
        )
    finally:
        os.umask(old)

    assert set(done.stages.values()) == {"fresh"}, done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_runs_nothing(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        theirs = copy(toy, Path(folder) / "toy")
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, 65534, 65534)
        done = _as_nobody(theirs)

    assert set(done.stages.values()) == {"fresh"}, done.output


def _as_nobody(project: Path) -> Build:
    """Run `doit` as the user nobody, with the system's Python if this one's folder is closed to others."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    links = project.parent / "links"  # an editable install is found by the interpreter that it was made for only
    links.mkdir()
    for name in ("modelyard", "modelyard_plugins", "modelyard_templates"):
        (links / name).symlink_to(Path(importlib.import_module(name).__path__[0]))
    packages = f"{links}:{sysconfig.get_path('purelib')}"
    for interpreter in (sys.executable, f"/usr/bin/python{version}"):
        try:
            done = subprocess.run(
                [interpreter, "-m", "doit"],
                cwd=project,
                user=65534,
                group=65534,
                extra_groups=[],
                env={
                    **clean(),  # what this machine sets for its numerical libraries counts for them, too
                    "HOME": str(project),
                    "PYTHONPATH": packages,
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            continue
        if "No module named" not in done.stderr and "not found" not in done.stderr:
            return Build(done.returncode, done.stdout + done.stderr, read_lines(done.stdout))
    pytest.skip("neither this interpreter nor its packages are open to other users")


def test_a_new_variant_builds_only_itself(toy: Path) -> None:
    path = toy / "pyproject.toml"
    more = 'plain = ["pack"]\ndoubled = [{ use = "scale", factor = 2 }, "pack"]'
    path.write_text(path.read_text().replace('plain = ["pack"]', more))

    done = build(toy)

    assert done.built == {"optimize:scale", "optimize:doubled", "evaluate:doubled", "select:toy"}, done.output


def test_everything_comes_back_after_clean(toy: Path) -> None:
    before = artifacts(toy)
    assert build(toy, "clean", "-a").code == 0
    assert not list((toy / "artifacts").glob("*/*/stage.json"))

    done = build(toy)

    assert set(done.stages.values()) == {"restored"}, done.output
    assert artifacts(toy) == before


@pytest.mark.parametrize(
    "harm", ["deleted folder", "deleted file", "edited", "truncated", "executable", "record deleted", "record garbled"]
)
def test_a_harmed_artifact_comes_back(toy: Path, harm: str) -> None:
    before = artifacts(toy)
    folder = toy / "artifacts" / "optimize" / "rounded"
    model, record = folder / "model.packed", folder / "stage.json"
    match harm:
        case "deleted folder":
            shutil.rmtree(folder)
        case "deleted file":
            model.unlink()
        case "edited":
            model.write_text(model.read_text().replace("0", "1", 1))
        case "truncated":
            os.truncate(model, 5)
        case "executable":
            model.chmod(0o755)
        case "record deleted":
            record.unlink()
        case "record garbled":
            record.write_bytes(b"{" + os.urandom(40))

    done = build(toy)

    assert done.built == set(), done.output
    assert done.stages["optimize:rounded"] == "restored"
    assert artifacts(toy) == before
    assert not os.access(model, os.X_OK)


def test_a_record_that_was_edited_by_hand_is_not_believed(toy: Path) -> None:
    import json

    before = artifacts(toy)
    path = toy / "artifacts" / "optimize" / "rounded" / "stage.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "digest": "0" * 64}))

    done = build(toy)

    assert done.stages["optimize:rounded"] == "restored", done.output
    assert done.built == set()
    assert artifacts(toy) == before


def test_a_commit_runs_nothing(toy: Path) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "dodo.py"], ["commit", "-q", "-m", "one"], ["checkout", "-q", "-b", "two"]):
        subprocess.run([*git, *command], cwd=toy, check=True)

    assert set(build(toy).stages.values()) == {"fresh"}
