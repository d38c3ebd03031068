"""A toy project that is built once, and copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.front_door.builds import build, copy
from tests.standins import tls

TOY = Path(__file__).parents[1] / "projects" / "toy"


@pytest.fixture(scope="session")
def built_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the toy project, built; not to be changed."""
    folder = tmp_path_factory.mktemp("built") / "toy"
    shutil.copytree(TOY, folder, ignore=shutil.ignore_patterns("__pycache__", ".modelyard", "artifacts"))
    done = build(folder)
    assert done.code == 0, done.output
    return folder


@pytest.fixture
def toy(built_toy: Path, tmp_path: Path) -> Path:
    """Return a copy of the built toy project, to be changed."""
    return copy(built_toy, tmp_path / "toy")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that signs itself, and its key, readable by any user."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    tls.certificate(folder)
    folder.chmod(0o755)
    for file in (folder / "tls.crt", folder / "tls.key"):
        file.chmod(0o644)
    return folder / "tls.crt", folder / "tls.key"
