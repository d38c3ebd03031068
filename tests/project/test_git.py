from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelyard.project.git import commit, email


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, by ada; the settings of whoever runs this count for nothing."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    (tmp_path / "file").write_text("one")
    ada = ("config user.name ada", "config user.email ada@example.org")
    for words in ("init -q", *ada, "add file", "commit -q -m one"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    return tmp_path


def test_the_commit_and_whether_the_tree_is_as_it_says(repository: Path) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True).stdout.strip()
    assert len(head) == 40
    assert commit(repository) == head
    (repository / "file").write_text("two")
    assert commit(repository) == f"{head}+"
    (repository / "file").write_text("one")
    (repository / "new").touch()
    assert commit(repository) == f"{head}+"


def test_who_works_there(repository: Path) -> None:
    assert email(repository) == "ada@example.org"


def test_outside_git_and_before_a_commit_there_is_nothing_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) == ""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert commit(tmp_path) == ""


def test_without_git_there_is_nothing_to_say(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert (commit(repository), email(repository)) == ("", "")
