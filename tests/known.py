"""What a build has found of modelyard's own code, which is the same for all projects of a test run.

A project that was never built reads all of that code and takes it apart, which is half of a first build of the toy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.shared import made_once

SHARED = "TESTS_SHARED"
"""The environment variable that names the folder of a test run, which all of its processes share."""
_TOY = Path(__file__).parent / "projects" / "toy"
_STATE = ".modelyard/state.sqlite"


def know(project: Path) -> Path:
    """Give a project that was never built the digest table of one that was; return the project."""
    state = project / _STATE
    if (project / "pyproject.toml").exists() and not state.parent.exists():
        known = known_code()
        with suppress(PermissionError):  # of a project that is not to be written to
            state.parent.mkdir()
            shutil.copyfile(known, state)
    return project


def known_code() -> Path:
    """Return the digest table of a toy project that was built, which knows modelyard's own code; not to be changed."""
    return made_once(Path(os.environ[SHARED], "known-code.sqlite"), _build)


def _build(file: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts")
    with tempfile.TemporaryDirectory() as folder:
        toy = shutil.copytree(_TOY, Path(folder, "toy"), ignore=ignore)
        subprocess.run([sys.executable, "-m", "doit"], cwd=toy, check=True, capture_output=True)
        shutil.copyfile(Path(toy, _STATE), file)
