from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.errors import ConfigError, ModelyardError
from modelyard.project.load import load, state_of


def test_a_project_is_its_folder_and_what_is_said_there(toy_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy_project.parent)
    project = load(Path("project"), {"train.passes": "2"})
    assert project.folder == toy_project
    assert project.state == state_of(toy_project) == toy_project / ".modelyard"
    assert project.config is project.plan.config
    assert project.overrides == {"train.passes": "2"}
    assert project.plan.stages["train:model.build"].uses["trainer"].params["passes"] == 2
    assert project.is_whole
    assert not project.state.exists(), "to load it makes nothing"


def test_a_folder_that_holds_what_one_stage_needs_may_lack_files_that_parameters_name(toy_project: Path) -> None:
    overrides = {"dataset.table": "nowhere.csv"}
    with pytest.raises(ModelyardError, match=r"'nowhere.csv'"):
        load(toy_project, overrides)
    project = load(toy_project, overrides, is_whole=False)
    assert not project.is_whole
    assert "dataset:points" in project.plan.stages


def test_a_link_to_a_project_is_that_project(toy_project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(toy_project)
    assert load(tmp_path / "link").folder == toy_project


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"a\nb", r"a\\nb' has a control character in it"),
        (b"a\x7fb", r"a\\x7fb' has a control character in it"),
        (b"caf\xe9", r"caf\\xe9' is not UTF-8"),
    ],
)
def test_a_path_that_no_line_of_text_can_hold_is_refused_first(name: bytes, why: str, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    with pytest.raises(ConfigError, match=rf"^the project's path b'.*{why}\n  rename the folder$"):
        load(folder)


def test_a_path_in_any_script_is_taken(toy_project: Path) -> None:
    folder = toy_project.rename(toy_project.with_name("Modèle 模型 😀"))
    assert load(folder).folder == folder
