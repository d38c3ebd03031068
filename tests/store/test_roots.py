from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from modelyard.errors import StoreError
from modelyard.store.roots import Roots, all_roots, artifact_keys, needed_keys, read_roots, register, roots_file
from tests.store.conftest import KEY, MakeStore
from tests.store.kept import stage_json

OTHER = "cd" * 32


def test_a_project_registers_its_artifacts_and_keeps_what_was_cleaned(make_store: MakeStore, tmp_path: Path) -> None:
    project, shared = tmp_path / "project", make_store()
    store = shared.root
    stage_json(project, "train:net", KEY)
    stage_json(project, "optimize:a", OTHER)
    register(store, project, ["train:net", "optimize:a"])
    (project / "artifacts/train/net/stage.json").unlink()
    register(store, project, ["train:net", "optimize:a"])
    [(_, roots)] = all_roots(shared)
    assert roots is not None
    assert roots.keys == {"train:net": KEY, "optimize:a": OTHER}
    register(store, project, ["optimize:a"])
    assert [r.keys for _, r in all_roots(shared) if r] == [{"optimize:a": OTHER}], (
        "a stage that is no more needs nothing"
    )


KILLED = """
import os, sys
from pathlib import Path
from modelyard.store.roots import register
os.replace = lambda *_: os._exit(9)
register(Path(sys.argv[1]), Path(sys.argv[2]), [])
"""


def test_what_is_left_of_a_registration_that_was_killed_is_swept(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store()
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root), str(tmp_path)], check=False)
    assert done.returncode == 9
    assert list((store.root / ".unfinished").iterdir())
    store.sweep()
    assert list((store.root / ".unfinished").iterdir()) == list((store.root / "projects").iterdir()) == []


def test_what_an_unfinished_build_made_counts(make_store: MakeStore, tmp_path: Path) -> None:
    project, store = tmp_path / "project", make_store()
    project.mkdir()
    register(store.root, project, ["train:net"])
    stage_json(project, "train:net", KEY)
    [(_, roots)] = all_roots(store)
    assert roots is not None
    assert roots.needed() == {KEY}
    (project / "artifacts" / ".unfinished" / "1-x").mkdir(parents=True)
    (project / "artifacts" / ".unfinished" / "1-x" / "stage.json").write_text(f'{{"key": "{OTHER}"}}')
    assert artifact_keys(project / "artifacts") == {"train:net": KEY}


def test_each_project_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert roots_file(tmp_path, Path("/a")) != roots_file(tmp_path, Path("/b"))


def test_a_registration_says_whose_it_is_and_when(tmp_path: Path) -> None:
    stage_json(tmp_path / "project", "train:net", KEY)
    register(tmp_path / "store", tmp_path / "project", [])
    roots = read_roots(roots_file(tmp_path / "store", tmp_path / "project"))
    assert roots is not None
    assert (roots.path, roots.host) == (str(tmp_path / "project"), socket.gethostname())
    assert roots.updated[10] == "T"
    assert roots.updated[-6] in "+-", "with a time zone: other machines read it"
    assert roots.is_here


def test_a_store_in_which_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(StoreError, match=r"store.*: cannot be opened: Not a directory\n  "):
        register(tmp_path / "store", tmp_path / "project", [])


def test_a_project_of_another_machine_needs_what_it_wrote_down_alone(tmp_path: Path) -> None:
    stage_json(tmp_path, "train:net", OTHER)
    far = Roots(path=str(tmp_path), host="far", updated="2026-01-01T00:00:00+00:00", keys={"train:net": KEY})
    here = msgspec.structs.replace(far, host=socket.gethostname())
    gone = msgspec.structs.replace(here, path=str(tmp_path / "gone"))
    assert (far.is_of_this_host, far.is_here, far.needed()) == (False, False, {KEY})
    assert (here.is_of_this_host, here.is_here, here.needed()) == (True, True, {KEY, OTHER})
    assert (gone.is_of_this_host, gone.is_here, gone.needed()) == (True, False, {KEY})
    assert needed_keys([far, here, gone]) == {KEY, OTHER}
    assert needed_keys([]) == set()


def test_a_record_that_cannot_be_read_is_no_artifact_s(tmp_path: Path) -> None:
    for stage, text in (("train:net", "{"), ("train:other", '{"digest": "x"}'), ("train:third", '{"key": "k"}')):
        stage_json(tmp_path, stage, "")
        (tmp_path / "artifacts" / stage.replace(":", "/") / "stage.json").write_text(text)
    assert artifact_keys(tmp_path / "artifacts") == {"train:third": "k"}
    assert artifact_keys(tmp_path / "nowhere") == {}


def test_a_file_among_the_projects_that_is_damaged_is_told_from_one_that_is_none_of_them(
    make_store: MakeStore,
) -> None:
    store = make_store()
    (store.root / "projects").mkdir(parents=True)
    for name, text in (("damaged.json", "{"), ("deep.json", "[" * 100_000), ("notes.txt", "{}")):
        (store.root / "projects" / name).write_text(text)
    found = {file.name: roots for file, roots in all_roots(store)}
    assert found == {"projects/damaged.json": None, "projects/deep.json": None}
    assert read_roots(store.root / "projects" / "damaged.json") is None
