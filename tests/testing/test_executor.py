"""The check of executors: a good one passes, each broken promise is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelyard.testing import check_executor

TESTS = Path(__file__).parents[1]


@pytest.fixture
def toy(new_toy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an executor of its own, each of whose jobs is a process in another folder."""
    monkeypatch.setattr("modelyard.testing.executor._GRACE_S", 0.5)  # the store is near
    project = new_toy
    shutil.copy(TESTS / "standins/process_executor.py", project / "plugins")
    return project


def check(project: Path, wait_s: float = 20) -> object:
    there = {"folder": str(project.parent / "desk")}
    remote = f"file://{project.parent / 'remote'}"
    return check_executor("process", project=project, params=there, remote=remote, wait_s=wait_s)


def test_an_executor_that_keeps_the_contract(toy: Path) -> None:
    check(toy)
    assert list((toy.parent / "remote/checks").iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("        folder: where it runs.\n", "", "parameter 'folder' is not documented"),
        ("return Process(folder)", "return context.here()", "executor 'process' runs nothing elsewhere"),
        ('return "unknown"', 'return "ended"', "a job that never was is 'ended', not 'unknown'"),
        (
            '/ f"{name}.pid")',
            '/ f"{os.getpid()}-{name}.pid")',
            "'unknown' after the process that submitted it was killed",
        ),
        ("self.environment(job.environment)", "self.environment()", "does not reach it: MODELYARD_CHECK is ''"),
        (
            'if self.state(job.name) == "running":\n            return\n',
            "pass\n",
            "submitted again while it ran was started 2 times",
        ),
        (
            'if self.state(job.name) == "running"',
            'if self.state(job.name) != "unknown"',
            "a job of a name that has ended is not started again",
        ),
        ("os.killpg(pid", "os.kill(pid", "what a job started goes on when the job is cancelled"),
        (
            "def close(self) -> None:\n        pass",
            "def close(self) -> None:\n        for child in self.folder.glob('*.pid'):\n            child.unlink()",
            "after the executor was closed and opened again",
        ),
    ],
)
def test_each_promise_that_is_broken_is_seen(toy: Path, old: str, new: str, said: str) -> None:
    file = toy / "plugins/process_executor.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(AssertionError, match=said):
        check(toy, wait_s=3)
