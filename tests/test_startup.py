"""The one thing that comes before doit: how a configuration that it cannot read is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.packaging import FILE, LINE

if TYPE_CHECKING:
    from collections.abc import Callable

    Doit = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_file_is_installed() -> None:
    installed = [file for folder in sys.path if (file := Path(folder, FILE)).is_file()]
    assert installed, "install the clone again: python -m pip install -e ."
    assert installed[0].read_text() == LINE


BUILT = """
import sys
from pathlib import Path
from setuptools.dist import Distribution
from modelyard.packaging import Build, BuildStartup

folder, editable = Path(sys.argv[1]), sys.argv[2] == "True"
made = Distribution({"name": "some", "cmdclass": {"build": Build, "build_startup": BuildStartup}})
made.get_command_obj("install").install_lib = str(folder / "wheel")
command = made.get_command_obj("build_startup")
command.editable_mode, command.build_lib = editable, str(folder / "build")
made.run_command("build_startup")
assert "build_startup" in made.get_command_obj("build").get_sub_commands()
"""


@pytest.mark.parametrize("editable", [False, True])
def test_it_is_built_beside_the_packages(editable: bool, tmp_path: Path) -> None:
    # In a process of its own: where another test has brought the standard library's distutils in, setuptools' own
    # comes too late.
    built = [sys.executable, "-W", "ignore", "-c", BUILT, str(tmp_path), str(editable)]
    subprocess.run(built, check=True)
    assert (tmp_path / ("wheel" if editable else "build") / FILE).read_text() == LINE


@pytest.mark.parametrize("command", [[], ["list"], ["plan"], ["why", "train"], ["clean"], ["help"], ["nonsense"]])
def test_a_file_that_is_no_toml_is_told_in_four_lines_whatever_the_command(
    command: list[str], make_project: Callable[[dict[str, str]], Path], doit: Doit
) -> None:
    project = make_project({"pyproject.toml": '[tool.modelyard]\nname = "toy\n', "dodo.py": ""})
    done = doit(project, *command)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "ERROR: pyproject.toml:2:12: the text has no closing quote",
        '  2 | name = "toy',
        "    |            ^",
        "  close it on the same line; a text of several lines stands between three quotes",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf[tool.modelyard]\n",
        "[a]\nx = 'é'".encode("latin-1"),
        b"x = " + b"1" * 5000,
        b"x = " + b"[" * 5000,
        b"[a]\n[a]\n",
        b"\x00",
    ],
)
def test_what_doit_cannot_read_has_no_traceback(data: bytes, tmp_path: Path, doit: Doit) -> None:
    (tmp_path / "pyproject.toml").write_bytes(data)
    done = doit(tmp_path, "list")
    assert done.returncode == 3
    assert done.stderr.startswith("ERROR: pyproject.toml:")
    assert len(done.stderr.splitlines()) == 4


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, doit: Doit) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    done = doit(tmp_path, "list")
    assert (done.returncode, done.stderr) == (3, "ERROR: pyproject.toml: cannot be read: Is a directory\n")


def test_debugging_shows_the_traceback(tmp_path: Path, doit: Doit) -> None:
    (tmp_path / "pyproject.toml").write_text("x =")
    assert "Traceback" in doit(tmp_path, "list", env={"MODELYARD_DEBUG": "1"}).stderr


def test_another_error_is_shown_as_ever_and_another_program_is_left_alone(tmp_path: Path) -> None:
    code = "import sys; from modelyard import startup; startup.ready(); sys.argv = ['doit']; int('x')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "ValueError: invalid literal" in done.stderr
    code = "import sys; print('modelyard' in sys.modules, sys.excepthook is sys.__excepthook__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "False True\n"
