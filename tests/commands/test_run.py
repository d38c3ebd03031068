"""doit's `run` with an option of modelyard's, in modelyard's projects and in others."""

from __future__ import annotations

import time
from pathlib import Path

from modelyard.files.locks import hold
from tests.commands.conftest import Run, run_doit


def test_no_wait_fails_at_once_and_says_who_holds_what(toy: Path, run: Run) -> None:
    with hold(toy / ".modelyard" / "locks" / "train-model.build.lock", "train:model.build", print):
        began = time.monotonic()
        failed = run("--no-wait", "train.passes=2")

    assert failed.returncode == 1, failed.stdout
    assert time.monotonic() - began < 30
    assert "train:model.build is being built by process " in failed.stdout + failed.stderr
    assert run("--no-wait").returncode == 0, "nothing is held any more"


def test_no_wait_fails_at_once_while_the_store_is_cleaned(toy: Path, run: Run) -> None:
    with hold(toy / ".modelyard" / "store" / "gc.lock", "the store", print):
        failed = run("--no-wait", "train.passes=2")

    assert failed.returncode == 1, failed.stdout
    assert "is being cleaned by process " in failed.stdout + failed.stderr


def test_a_misspelt_option_is_told_in_two_lines(run: Run) -> None:
    failed = run("--nowait")

    assert failed.returncode == 3
    assert failed.stderr.splitlines() == [
        "ERROR: run: there is no option '--nowait', did you mean '--no-wait'?",
        "  `doit help run` lists the options",
    ]


def test_help_names_the_option(run: Run) -> None:
    assert "--no-wait" in run("help", "run").stdout


def test_a_dodo_file_without_a_project_runs_as_ever(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text("def task_hello():\n    return {'actions': ['echo hello'], 'verbosity': 2}\n")

    for arguments in ([], ["hello"], ["--no-wait", "hello"], ["run", "-a", "hello"], ["-n", "2"]):
        done = run_doit(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert "hello" in done.stdout
    assert run_doit(tmp_path, "hallo").returncode == 3
