"""The mutation matrix: for every kind of input, a change runs exactly the stages that depend on it, and no other.

Undoing the change runs nothing: every result comes back from the store. And what changes no meaning runs nothing.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.front_door.builds import Build, artifacts, build, copy, read_lines

OPTIMIZE = {"optimize:plain", "optimize:round", "optimize:rounded", "optimize:round-scale", "optimize:coarse"}
EVALUATE = {"evaluate:plain", "evaluate:rounded", "evaluate:coarse"}
AFTER_SELECT = {"image:toy", "render:note"}
Change = Callable[[Path], None]


def edit(file: str, old: str, new: str) -> Change:
    """Return a change that replaces `old` by `new` in `file`."""

    def change(project: Path) -> None:
        path = project / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new))

    return change


def append(file: str, text: str) -> Change:
    """Return a change that adds `text` to the end of `file`."""

    def change(project: Path) -> None:
        with (project / file).open("a") as stream:
            stream.write(text)

    return change


def setting(table: str, line: str) -> Change:
    """Return a change that adds `line` to `[tool.modelyard.TABLE]`, which is made if need be."""

    def change(project: Path) -> None:
        path = project / "pyproject.toml"
        text, head = path.read_text(), f"[tool.modelyard.{table}]\n"
        path.write_text(text.replace(head, f"{head}{line}\n") if head in text else f"{text}\n{head}{line}\n")

    return change


MEANINGFUL: dict[str, tuple[Change, set[str]]] = {
    "a parameter of the data set": (setting("dataset", "noise = 0.2"), {"dataset:points", "train:model.build"}),
    "modelyard's own key for the data set": (setting("dataset", 'normalize = "standard"'), {"dataset:points", "train:model.build"}),
    "the seed": (edit("pyproject.toml", 'name = "toy"\n\n[tool.modelyard.dataset]', 'name = "toy"\nseed = 7\n\n[tool.modelyard.dataset]'), {"dataset:points", "train:model.build", *OPTIMIZE}),
    "a parameter of the trainer": (setting("train", "passes = 2"), {"train:model.build"}),
    "a parameter of the model": (setting("model", "width = 8"), {"train:model.build", *OPTIMIZE, *EVALUATE}),
    "the code of the model": (edit("model.py", '"width": width', '"width": width + 1'), {"train:model.build", *OPTIMIZE, *EVALUATE}),
    "a helper that the model imports": (edit("helper.py", "value / 2", "value / 4"), {"train:model.build", *OPTIMIZE, *EVALUATE}),
    "a parameter of one optimizer": (edit("pyproject.toml", "factor = 2", "factor = 3"), {"optimize:round-scale", "optimize:coarse", "evaluate:coarse"}),
    "an optimizer that two variants share": (lambda p: _replace_all(p, "decimals = 1", "decimals = 0"), {"optimize:round", "optimize:rounded", "optimize:round-scale", "optimize:coarse", "evaluate:rounded", "evaluate:coarse"}),
    "how variants are measured": (setting("evaluate", "batch_size = 7"), EVALUATE),
    "a gate": (edit("pyproject.toml", "min_accuracy = 0.5", "min_accuracy = 0.6"), {"select:toy"}),
    "the rule": (setting("select", 'rule = "plain"'), {"select:toy", *AFTER_SELECT}),
    "the image's tag": (setting("image", 'tag = "v2"'), AFTER_SELECT),
    "the server's port": (setting("serve", "port = 9000"), AFTER_SELECT),
    "the server's code": (append("server/__init__.py", "# not even a comment may differ in an image\n"), AFTER_SELECT),
    "the pinned requirements": (edit("server/requirements.txt", "1.0", "1.1"), AFTER_SELECT),
    "a parameter of the target": (setting("targets.note", 'greeting = "bye"'), {"render:note"}),
    "a template": (edit("templates/note.txt.j2", "{{ greeting }}", "{{ greeting }}!"), {"render:note"}),
    "a template that it includes": (edit("templates/signature.txt.j2", "modelyard", "Modelyard"), {"render:note"}),
    "the project's version": (edit("pyproject.toml", 'version = "1.0"', 'version = "2.0"'), AFTER_SELECT),
}  # fmt: skip


def _replace_all(project: Path, old: str, new: str) -> None:
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("name", MEANINGFUL)
def test_a_change_runs_what_depends_on_it_and_undoing_it_runs_nothing(toy: Path, name: str) -> None:
    change, must_run = MEANINGFUL[name]
    before, files = artifacts(toy), _sources(toy)

    change(toy)
    done = build(toy)

    assert done.code == 0, done.output
    assert must_run <= done.built, done.output
    # A stage downstream may run when the bytes before it differ; nothing upstream or beside may.
    assert done.built <= must_run | _downstream(must_run), done.output

    for path, data in files.items():
        (toy / path).write_bytes(data)
    undone = build(toy)
    assert undone.built == set(), undone.output
    assert artifacts(toy) == before


def _sources(project: Path) -> dict[str, bytes]:
    kept = ("artifacts", ".modelyard", "__pycache__")
    files = (p for p in project.rglob("*") if p.is_file() and not set(p.relative_to(project).parts) & set(kept))
    return {str(p.relative_to(project)): p.read_bytes() for p in files}


def _downstream(stages: set[str]) -> set[str]:
    order = [
        ["dataset:points"],
        ["train:model.build"],
        OPTIMIZE,
        EVALUATE,
        ["select:toy"],
        ["image:toy"],
        ["render:note"],
    ]
    first = min(i for i, level in enumerate(order) if stages & set(level))
    if stages & OPTIMIZE and first == 2:
        touched = {s for s in stages if s.startswith(("optimize", "evaluate"))}
        return touched | {"select:toy", "image:toy", "render:note"}
    return {stage for level in order[first + 1 :] for stage in level}


def test_only_what_follows_from_new_bytes_runs(toy: Path) -> None:
    """The trainer's second pass gives the same model: nothing after it runs (early cutoff)."""
    setting("train", "passes = 2")(toy)

    assert build(toy).built == {"train:model.build"}


def test_an_environment_variable_that_a_component_declares(toy: Path) -> None:
    changed = build(toy, env={"TOY_EPOCH": "1"})
    back = build(toy)

    assert changed.built == {"image:toy"}
    assert back.built == set()
    assert back.stages["image:toy"] == "restored"


def test_a_data_file(toy: Path) -> None:
    table = toy / "table.csv"
    rows = [f"{0.01 * i + (i % 3 == 1)},{0.02 * (i % 7) + (i % 3 == 2)},{i % 3}" for i in range(30)]
    table.write_text("\n".join(rows))
    setting("dataset", 'table = "table.csv"')(toy)
    assert "dataset:points" in build(toy).built

    os.utime(table, (1, 1))
    table.rename(toy / "moved.csv")
    edit("pyproject.toml", "table.csv", "moved.csv")(toy)
    assert build(toy).built == set()

    (toy / "moved.csv").write_text("\n".join([*rows[:-1], "0.5,0.5,2"]))
    assert "dataset:points" in build(toy).built


def test_a_data_file_with_the_same_time_and_size(toy: Path) -> None:
    table = toy / "table.csv"
    rows = [f"{i % 3 == 1:d}.0,{i % 3 == 2:d}.0,{i % 3}" for i in range(30)]
    table.write_text("\n".join(rows))
    setting("dataset", 'table = "table.csv"')(toy)
    build(toy)
    stamp = table.stat()

    table.write_text("\n".join(["0.5,0.0,0", *rows[1:]]))
    os.utime(table, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert table.stat().st_size == stamp.st_size
    assert "dataset:points" in build(toy).built


MEANINGLESS: dict[str, Change] = {
    "a comment": append("model.py", "\n# nothing new\n"),
    "a docstring": edit("helper.py", "Halve it.", "Return the half."),
    "the layout": edit("model.py", '{"classes": classes, ', '{\n        "classes": classes,\n        '),
    "the order of functions": lambda p: _move_function(p / "plugins" / "toy.py"),
    "a default that is written out": setting("dataset", "samples = 60"),
    "the order of keys": lambda p: _swap_tables(p / "pyproject.toml"),
    "touch": lambda p: [f.touch() for f in p.rglob("*") if f.is_file()] and None,
    "a file that nothing reads": lambda p: (p / "notes.txt").write_text("unread") and None,
}


def _move_function(path: Path) -> None:
    text = path.read_text()
    function = re.search(r"def pack\(.*?\n\n\n", text, re.DOTALL)
    assert function
    path.write_text(text.replace(function[0], "") + f"\n\n{function[0].rstrip()}\n")


def _swap_tables(path: Path) -> None:
    text = path.read_text()
    gates = re.search(r"\[tool\.modelyard\.gates\]\n.*?\n\n", text, re.DOTALL)
    assert gates
    path.write_text(f"{text.replace(gates[0], '')}\n{gates[0]}")


@pytest.mark.parametrize("name", MEANINGLESS)
def test_what_changes_no_meaning_runs_nothing(toy: Path, name: str) -> None:
    MEANINGLESS[name](toy)

    done = build(toy)

    assert done.code == 0, done.output
    assert set(done.stages.values()) == {"fresh"}, done.output


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
                    "PATH": os.environ["PATH"],
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
    edit("pyproject.toml", 'plain = ["pack"]', 'plain = ["pack"]\ndoubled = [{ use = "scale", factor = 2 }, "pack"]')(
        toy
    )

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
    "harm", ["deleted folder", "deleted file", "edited", "truncated", "record deleted", "record garbled"]
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
        case "record deleted":
            record.unlink()
        case "record garbled":
            record.write_bytes(b"{" + os.urandom(40))

    done = build(toy)

    assert done.built == set(), done.output
    assert done.stages["optimize:rounded"] == "restored"
    assert artifacts(toy) == before


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
