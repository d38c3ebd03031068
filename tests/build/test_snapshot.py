"""The files that a stage needs on another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.build.snapshot import Snapshot, files_of
from modelyard.errors import StageFailed
from modelyard.files.digests import DigestTable
from modelyard.files.hashing import hash_file
from modelyard.keys.action_key import Fingerprinter
from modelyard.project.load import load

if TYPE_CHECKING:
    from pathlib import Path


def files(project: Path, stage: str, **overrides: str) -> list[str]:
    loaded = load(project, {key.replace("__", "."): value for key, value in overrides.items()})
    keys = Fingerprinter(loaded.folder, DigestTable(project / "state.sqlite"), loaded.plugins)
    return files_of(loaded, keys, loaded.plan.stages[stage])


def test_code_goes_and_what_other_stages_read_does_not(toy_project: Path) -> None:
    (toy_project / "data.csv").write_text("0,0,0\n")
    (toy_project / "notes.txt").write_text("of no use")
    (toy_project / "plugins" / "__pycache__").mkdir(exist_ok=True)
    (toy_project / "plugins" / "__pycache__" / "toy.pyc").write_bytes(b"")
    common = {"pyproject.toml", "plugins/toy.py", "model.py"}
    found = set(files(toy_project, "train:model.build", dataset__table="data.csv"))
    assert common <= found
    assert not {"data.csv", "notes.txt", "dodo.py", "plugins/__pycache__/toy.pyc"} & found
    assert set(files(toy_project, "dataset:points", dataset__table="data.csv")) == found | {"data.csv"}


def test_a_folder_that_a_parameter_names_goes_whole(toy_project: Path) -> None:
    (toy_project / "names" / "more").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "more/c.txt"):
        (toy_project / "names" / name).write_text(name)
    found = files(toy_project, "dataset:points", dataset__names="names")
    assert {"names/a.txt", "names/b.txt", "names/more/c.txt"} <= set(found)


def test_what_a_parameter_names_outside_the_project_is_refused(toy_project: Path, tmp_path: Path) -> None:
    (tmp_path / "far.csv").write_text("0,0,0\n")
    with pytest.raises(StageFailed, match="which is outside the project: its machine does not have it") as caught:
        files(toy_project, "dataset:points", dataset__table="../far.csv")
    assert "leave 'dataset' out of `kinds` in [tool.modelyard.executor]" in str(caught.value)


def test_a_file_that_changes_on_its_way_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one")
    (tmp_path / "run").write_text("run")
    (tmp_path / "run").chmod(0o755)
    snapshot = Snapshot(tmp_path, ["one", "run"], DigestTable(tmp_path / "state.sqlite"))
    assert {name: entry.executable for name, entry in snapshot.manifest.items()} == {"one": False, "run": True}
    (tmp_path / "to").mkdir()
    copy = snapshot.read(snapshot.manifest["run"], tmp_path / "to")
    assert copy is not None
    assert hash_file(copy) == snapshot.manifest["run"].digest
    (tmp_path / "one").write_text("two")
    assert snapshot.read(snapshot.manifest["one"], tmp_path / "to") is None
