"""What is installed: every package, and every file that a package reads beside its code."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.execution import child as stage_process
from modelyard.plugins.load import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]


def packages() -> Iterator[str]:
    for name, folder in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            yield ".".join((name, *parts))


def test_every_package_folder_is_listed_and_nothing_else() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(packages())


def test_every_folder_of_code_is_a_package() -> None:
    for folder in FOLDERS.values():
        for file in (ROOT / folder).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), file


@pytest.mark.parametrize("name", FOLDERS)
def test_every_file_beside_the_code_is_package_data(name: str) -> None:
    top = ROOT / FOLDERS[name]
    listed = {file for pattern in SETUPTOOLS["package-data"][name] for file in top.glob(pattern)}
    others = {f for f in top.rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")}
    assert others - listed == set()


@pytest.mark.parametrize("name", FOLDERS)
def test_every_pattern_of_package_data_finds_files_or_is_not_there(name: str) -> None:
    top = ROOT / FOLDERS[name]
    assert any(list(top.glob(pattern)) for pattern in SETUPTOOLS["package-data"][name])


def test_every_file_of_a_package_is_in_the_repository() -> None:
    inside = subprocess.run(["git", "rev-parse", "--is-inside-work-tree"], cwd=ROOT, capture_output=True)
    if inside.returncode != 0:
        pytest.skip("this is not a clone")
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", *FOLDERS.values()]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [file for file in ignored if "__pycache__" not in file] == [], "git ignores a file that is part of a package"


def test_the_commands_and_the_backend_can_be_loaded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group, points in project["entry-points"].items():
        installed = {p.name: p for p in entry_points(group=group)}
        for name, value in points.items():
            found = installed[name].value if name in installed else None
            assert found == value, "install the clone again: python -m pip install -e ."
            assert installed[name].load()


def test_heavy_libraries_are_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {requirement.partition(">")[0].lower() for requirement in project["dependencies"]}
    assert (
        needed & {"tensorflow", "tf-keras", "keras", "torch", "docker", "scikit-learn", "pillow", "ai-edge-litert"}
        == set()
    )
    extras = project["optional-dependencies"]
    everything = {name for text in extras["all"] for name in text.removeprefix("modelyard[").rstrip("]").split(",")}
    assert everything <= extras.keys()


def test_whatever_a_built_in_component_needs_is_brought_by_an_extra_or_by_modelyard_itself(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    lines = [line for lines in project["optional-dependencies"].values() for line in lines]
    brought = {re.split(r"[<>=]", line)[0].lower() for line in lines}
    for component in load_plugins(tmp_path).components.values():
        assert set(component.needed) <= own | brought | {"jax", "litert-converter"}, (
            component.name
        )  # litert-torch has these
    assert "'modelyard[torch-litert]'" in stage_process.how_to_install("litert_torch._convert")


def test_mypy_checks_every_benchmark() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["modules"]

    assert listed == sorted(file.stem for file in (ROOT / "benchmarks").glob("*.py"))
