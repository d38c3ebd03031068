from __future__ import annotations

import getpass
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Ask, Run


@pytest.fixture
def refactored(edit: Callable[[str, str, str], None]) -> None:
    edit("helper.py", "value / 2", "value * 0.5")


def record(toy: Any) -> Any:
    return json.loads((toy / "artifacts/train/model.build/stage.json").read_text())


def test_makes_the_artifact_up_to_date_without_running_it(toy: Path, run: Run, refactored: None) -> None:
    before = record(toy)
    done = run("accept", "train", "--yes")
    assert done.returncode == 0
    assert "code helper.py: shrink changed" in done.stdout
    after = record(toy)
    assert after["outputs"] == before["outputs"]
    assert after["accepted"]["from_key"] == before["key"]
    assert after["accepted"]["who"].startswith(f"{getpass.getuser()}@")
    assert after["accepted"]["when"][:2] == "20"
    assert run().stdout.splitlines()[-1].startswith("built 0, restored 0, up to date 13")


def test_survives_a_clean_and_is_undone_with_the_code(
    toy: Path, run: Run, edit: Callable[[str, str, str], None], refactored: None
) -> None:
    assert run("accept", "train", "--yes").returncode == 0
    assert run("clean", "train").returncode == 0
    assert "train:model.build: restored" in run("train").stdout
    assert record(toy)["accepted"]
    edit("helper.py", "value * 0.5", "value / 2")
    assert "train:model.build: restored" in run("train").stdout
    assert not record(toy)["accepted"]


def test_needs_yes_without_a_terminal(toy: Path, run: Run, refactored: None) -> None:
    before = record(toy)
    for words in (("accept", "train"), ("accept", "train", "--json")):
        done = run(*words)
        assert done.returncode == 3
        assert "add --yes" in done.stderr
    assert record(toy) == before


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"\n", 1), (b"n\n", 1), (b"\x04", 1)])
def test_asks_on_a_terminal(toy: Path, refactored: None, answer: bytes, code: int) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "doit", "accept", "train"]
        process = subprocess.Popen(command, cwd=toy, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.write(ours, answer)
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == code, err
    assert b"[y/N]" in out + err
    assert bool(record(toy)["accepted"]) == (code == 0)


def test_refuses_when_a_parameter_differs_too(toy: Path, run: Run, refactored: None) -> None:
    before = record(toy)
    done = run("accept", "train", "--yes", "train.passes=2")
    assert done.returncode == 3
    assert "parameter passes of the trainer: 1 -> 2" in done.stderr
    assert "helper" not in done.stderr
    assert record(toy) == before


def test_refuses_an_artifact_that_was_edited(toy: Path, run: Run, refactored: None) -> None:
    (toy / "artifacts/train/model.build/model.json").write_text("{}")
    done = run("accept", "train", "--yes")
    assert done.returncode == 3
    assert "output model.json was edited" in done.stderr


def test_refuses_what_the_store_has(run: Run, edit: Callable[[str, str, str], None], refactored: None) -> None:
    assert run("train").returncode == 0
    edit("helper.py", "value * 0.5", "value / 2")
    done = run("accept", "train", "--yes")
    assert done.returncode == 3
    assert "brought back without work" in done.stderr


def test_refuses_what_has_no_artifact(run: Run, refactored: None) -> None:
    assert run("clean", "train").returncode == 0
    assert "has no artifact to accept" in run("accept", "train", "--yes").stderr


def test_all_or_nothing(toy: Path, run: Run, edit: Callable[[str, str, str], None]) -> None:
    edit("plugins/toy.py", '"model.packed", json.loads', '"model.packed", dict(json.loads')
    edit(
        "plugins/toy.py",
        "context.model.path.read_text()))\n\n\ndef write",
        "context.model.path.read_text())))\n\n\ndef write",
    )
    done = run("accept", "optimize:plain", "optimize:round", "--yes", "variants.coarse=['pack']", "seed=1")
    assert done.returncode == 3
    assert "seed: 0 -> 1" in done.stderr
    done = run("accept", "dataset", "train", "optimize", "evaluate", "image", "render", "--yes")
    assert done.returncode == 0, done.stderr
    assert run().stdout.splitlines()[-1].startswith("built 0, restored 0, up to date 13")


def test_says_when_there_is_nothing_to_accept(run: Run, ask: Ask) -> None:
    assert run("accept", "train").stdout == "nothing to accept: everything is up to date\n"
    assert ask("accept", "train") == []


def test_history_tells_it(ask: Ask, refactored: None, run: Run) -> None:
    assert run("accept", "train", "--yes").returncode == 0
    latest, before = ask("history", "train")["train:model.build"]
    assert (latest["how"], before["how"]) == ("accepted", "built")
