"""`modelyard init`: what it writes works at once, and nothing that is there is touched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples.environments import ROOT

from modelyard.config.read import load_config
from modelyard.errors import ConfigError
from modelyard.frontend.scaffold import _PROJECT, new_project
from modelyard.kinds import BUILT_IN
from modelyard.project.load import load

Doit = Callable[..., "subprocess.CompletedProcess[str]"]


def test_init_writes_a_project_that_loads(tmp_path: Path) -> None:
    folder = tmp_path / "My Shop_2"
    told = new_project(folder)
    assert told == f"my-shop-2: {len(_PROJECT)} files in {folder}\n  next: cd '{folder}' && doit"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == sorted(_PROJECT)
    project = load(folder)
    assert project.config.name == "my-shop-2"
    assert {stage.kind for stage in project.plan.stages.values()} == set(BUILT_IN)
    assert "@name@" not in "".join((folder / file).read_text() for file in _PROJECT)


def test_a_new_project_lists_its_stages_with_doit(tmp_path: Path, doit: Doit) -> None:
    new_project(tmp_path / "shop")
    listed = doit(tmp_path / "shop", "list")
    assert listed.returncode == 0, listed.stderr
    assert {line.split()[0] for line in listed.stdout.splitlines()} >= set(BUILT_IN)


@pytest.mark.parametrize(
    ("folder", "name"), [("a" * 60, "a" * 52), ("a" * 51 + "-b", "a" * 51), ("___", "project"), ("Ärger", "rger")]
)
def test_the_name_is_made_from_the_folder(folder: str, name: str, tmp_path: Path) -> None:
    new_project(tmp_path / folder)
    project = load(tmp_path / folder)
    assert load_config(tmp_path / folder, project.plugins).name == name


def test_a_name_can_be_given(tmp_path: Path) -> None:
    new_project(tmp_path / "x", "shop")
    assert load(tmp_path / "x").config.name == "shop"


@pytest.mark.parametrize("name", ["Shop", "-shop", "a" * 53, "a\n", "a.b"])
def test_a_name_that_is_not_allowed_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"is not allowed as a name, did you mean '.+'\?\n  allowed: 1 to 52 lower-case letters"
    ):
        new_project(tmp_path / "x", name)
    assert not (tmp_path / "x").exists()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("file", _PROJECT)
def test_nothing_is_overwritten(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(ConfigError, match="is there already\n  choose another folder: nothing is overwritten"):
        new_project(tmp_path)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/x: .*\n  choose a folder that can be made and written"):
        new_project(tmp_path / "file" / "x")
    with pytest.raises(ConfigError, match="choose a folder that can be made"):
        new_project(tmp_path / "file")


def test_the_new_dodo_is_the_one_of_this_repository() -> None:
    """A clone of modelyard and a new project show the same pipeline at a glance."""
    template = (ROOT / "templates" / "project" / "dodo.py.txt").read_text()
    assert template == (ROOT / "dodo.py").read_text() == (ROOT / "tests/projects/toy/dodo.py").read_text()
