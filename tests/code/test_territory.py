"""Which files are a project's own, of all that lie in its folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import modelyard
from modelyard.code.territory import Territory

PROJECT = "/home/me/project"


@pytest.mark.parametrize(
    "path", ["model.py", "deep/er/sizes.json", "artifacts/train/net/model.toy", ".env", "modelyard/own.py", "build/x"]
)
def test_what_a_person_writes_is_the_project_s_own(path: str) -> None:
    assert Territory(PROJECT).holds(f"{PROJECT}/{path}")


@pytest.mark.parametrize(
    "path",
    [
        ".modelyard/logs/train/net.log",
        ".git/HEAD",
        "artifacts/.unfinished/12/out/model.toy",
        "toy.egg-info/PKG-INFO",
        "vendor/toy-1.0.dist-info/METADATA",
    ],
)
def test_what_modelyard_git_and_installers_keep_there_is_not(path: str) -> None:
    assert not Territory(PROJECT).holds(f"{PROJECT}/{path}")


@pytest.mark.parametrize(
    "path", ["/home/me/project2/model.py", "/home/me/model.py", "/etc/hostname", PROJECT, "model.py"]
)
def test_what_lies_elsewhere_is_not(path: str) -> None:
    assert not Territory(PROJECT).holds(path)


def test_an_environment_in_the_project_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", f"{PROJECT}/.venv")
    monkeypatch.setattr(sys, "path", [*sys.path, f"{PROJECT}/other/lib/python3/site-packages"])
    territory = Territory(PROJECT)
    assert not territory.holds(f"{PROJECT}/.venv/lib/python3/thing.py")
    assert not territory.holds(f"{PROJECT}/other/lib/python3/site-packages/thing.py")
    assert territory.holds(f"{PROJECT}/.venv2/thing.py")


def test_a_project_that_is_its_own_environment_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", PROJECT)
    monkeypatch.setattr(sys, "exec_prefix", PROJECT)
    assert Territory(PROJECT).holds(f"{PROJECT}/model.py")


def test_modelyard_itself_is_not_though_its_clone_is_the_project() -> None:
    own = os.path.realpath(modelyard.__file__)
    territory = Territory(str(Path(own).parents[2]))
    assert territory.is_modelyard(own)
    assert not territory.holds(own)
    assert not territory.is_modelyard(f"{PROJECT}/modelyard/own.py")


def test_a_file_is_named_as_a_person_in_the_project_would() -> None:
    assert Territory(PROJECT).name(f"{PROJECT}/deep/sizes.json") == "deep/sizes.json"
    assert Territory(PROJECT).name("/home/me/other.json") == "../other.json"


def test_the_reader_is_the_innermost_line_of_the_project_s_code(tmp_path: Path) -> None:
    territory = Territory(str(tmp_path))
    found: list[tuple[str, int] | None] = []
    inner, outer, library = (str(tmp_path / "model.py"), str(tmp_path / "train.py"), "/usr/lib/thing.py")
    ask = lambda *also: found.append(territory.reader(frozenset(also)))  # noqa: E731 - its frame is the caller's
    read = _function("\n\nask(*also)", library, ask=ask)
    called = _function("read(*also)", inner, read=read)
    outermost = _function("\ncalled(*also)", outer, called=called)

    outermost()
    outermost(library)
    read()
    assert found == [(inner, 1), (library, 3), None]


def _function(code: str, file: str, **names: object) -> Callable[..., None]:
    """Return a function that runs `code` as if it stood in `file`."""
    compiled = compile(code, file, "exec")
    return lambda *also: exec(compiled, {**names, "also": also})
