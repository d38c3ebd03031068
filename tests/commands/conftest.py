"""A toy project that is built once, and a copy of it for each test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import warm

TOY = Path(__file__).parents[1] / "projects" / "toy"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Ask = Callable[..., Any]


def run_doit(project: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MODELYARD_", "PYTEST_"))}
    return warm.run_doit(project, *arguments, env=variables, stdin=stdin)


@pytest.fixture(scope="session")
def built_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "toy"
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    (folder / ".gitignore").write_text("__pycache__/\n.modelyard/\n/artifacts/\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "toy"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    done = run_doit(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def toy(built_toy: Path, tmp_path: Path) -> Path:
    """Return a copy of the built toy project, a git repository without changes."""
    return Path(shutil.copytree(built_toy, tmp_path / "toy", symlinks=True))


@pytest.fixture
def run(toy: Path) -> Run:
    """Return a function that runs `doit` in the toy."""

    def call(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return run_doit(toy, *arguments, stdin=stdin)

    return call


@pytest.fixture
def ask(run: Run) -> Ask:
    """Return a function that runs a command with `--json` and returns what it answers."""

    def call(*arguments: str) -> Any:
        done = run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture
def edit(toy: Path) -> Callable[[str, str, str], None]:
    """Return a function that replaces a text in a file of the toy."""

    def replace(file: str, old: str, new: str) -> None:
        text = (toy / file).read_text()
        assert old in text
        (toy / file).write_text(text.replace(old, new))

    return replace
