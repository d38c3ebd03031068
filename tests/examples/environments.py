"""Fresh environments that see what is installed here, so that tests of installing take seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from modelyard.oci.cache import SHARED

ROOT = Path(__file__).parents[2]
MADE = ("__pycache__", ".modelyard", "*.egg-info", ".*_cache", ".hypothesis", ".venv", ".git")


def new_environment(folder: Path) -> Path:
    """Make an empty environment in `folder` and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin/python"


def install(python: Path, what: Path) -> None:
    """Install `what`, a wheel, an sdist or a folder, into the environment of `python`, and nothing that it needs."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--ignore-installed"]  # it may see another copy, which must stay as it is
    done = subprocess.run([*command, str(what)], capture_output=True, text=True, check=False, cwd=what.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def see(python: Path, *, editable: bool) -> None:
    """Let the environment of `python` see, after its own, the distributions that are installed here.

    Args:
        python: the environment's interpreter.
        editable: those too that are installed as editable.
    """
    folders = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    line = "import site; site.addsitedir({!r})\n" if editable else "{}\n"
    own = next((python.parents[1] / "lib").glob("python3*")) / "site-packages"
    (own / "installed-here.pth").write_text("".join(line.format(folder) for folder in folders))


def clean() -> dict[str, str]:
    """Return the environment variables of a shell in which nothing points at this checkout; what images share is no part of it."""
    ours = ("PYTHON", "PYTEST", "MODELYARD")
    return {name: value for name, value in os.environ.items() if name == SHARED or not name.startswith(ours)}


def copy_of(source: Path, target: Path) -> Path:
    """Copy a folder of this checkout without what was made in it."""
    made = shutil.ignore_patterns(*MADE)

    def ignore(folder: str, names: list[str]) -> set[str]:
        # the packages of these names are others
        builds = {"build", "artifacts"}.intersection(names) if "pyproject.toml" in names else set()
        return made(folder, names) | builds

    return Path(shutil.copytree(source, target, ignore=ignore))
