"""What there is of a project's build, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard.build.state import BuildState
from modelyard.execution.local import Local
from modelyard.project.load import load
from modelyard.store.remote import Remote

Make = Callable[..., BuildState]


@pytest.fixture
def make(toy_project: Path) -> Iterator[Make]:
    """Return a function that opens the state of the toy project's build, with some settings of its store."""
    made: list[BuildState] = []

    def state(**settings: str) -> BuildState:
        overrides = {f"store.{name}": value for name, value in settings.items()}
        made.append(BuildState(load(toy_project, overrides), lambda _: None))
        return made[-1]

    yield state
    for one in made:
        one.close()


def test_all_that_git_must_ignore_is_in_two_folders_of_the_project(make: Make, toy_project: Path) -> None:
    state = make()
    stage = state.plan.stages["train:model.build"]
    assert state.workspace.folder(stage) == toy_project / "artifacts/train/model.build"
    assert state.workspace.log(stage).is_relative_to(toy_project / ".modelyard")
    assert state.store.root.is_relative_to(toy_project / ".modelyard")
    assert (toy_project / ".modelyard" / "state.sqlite").exists()


@pytest.mark.parametrize("path", ["beside", "~/team"])
def test_a_store_lies_in_the_project_or_where_its_path_says(
    make: Make, toy_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root = toy_project / "beside" if path == "beside" else tmp_path / "home" / "team"
    assert make(path=path).store.root == root


def test_without_a_remote_or_with_one_that_is_off_there_is_none(make: Make, tmp_path: Path) -> None:
    assert make().remote is None
    assert make(remote=f"file://{tmp_path}/remote", mode="off").remote is None


@pytest.mark.parametrize(("mode", "writes"), [("read-write", True), ("read-only", False)])
def test_a_remote_is_written_to_or_only_read(make: Make, tmp_path: Path, mode: str, writes: bool) -> None:
    state = make(remote=f"file://{tmp_path}/remote", mode=mode, timeout_s="3")
    assert isinstance(state.remote, Remote)
    assert (state.remote.settings.url, state.remote.settings.timeout_s) == (f"file://{tmp_path}/remote", 3)
    assert state.remote.settings.writes is writes


def test_what_two_processes_share_is_open_in_both(make: Make) -> None:
    one, other = make(), make()
    one.table.write_note("of one", b"1")
    assert other.table.note("of one") == b"1"


def test_what_is_half_made_goes_with_the_process(make: Make) -> None:
    state = make()
    with state.workspace.scratch():
        assert list(state.workspace.unfinished.iterdir())
    state.close()
    assert list(state.workspace.unfinished.iterdir()) == []


def test_what_was_given_to_run_stages_is_for_the_giver_to_end(toy_project: Path) -> None:
    given = Local()
    state = BuildState(load(toy_project), lambda _: None, given)
    assert state.placement.local is given
    state.close()
    assert given.pool.number() == 1
