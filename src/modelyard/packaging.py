"""How the package is put together: setuptools' `build` with one step more. Nothing else imports this module."""

from __future__ import annotations

from pathlib import Path

from setuptools import Command
from setuptools.command.build import build

FILE = "modelyard-doit.pth"
"""A file beside the packages, whose line Python runs when it starts: the one thing that comes before doit."""
LINE = (
    'import sys; any(w.endswith(("doit", "doit.exe")) for w in sys.orig_argv[:8])'
    ' and __import__("modelyard.startup").startup.ready()\n'
)


class Build(build):  # type: ignore[misc]
    """`build`, which also writes the file that readies messages for `doit`."""

    sub_commands = [*build.sub_commands, ("build_startup", None)]  # noqa: RUF012 - setuptools' form


class BuildStartup(Command):  # type: ignore[misc]
    """Write `modelyard-doit.pth` beside the packages, of an editable installation too."""

    user_options: list[tuple[str, str, str]] = []  # noqa: RUF012 - setuptools' form
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = ""

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        folder = self.get_finalized_command("install").install_lib if self.editable_mode else self.build_lib
        self.mkpath(str(folder))
        Path(folder, FILE).write_text(LINE, encoding="utf-8")

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        return [str(Path(self.build_lib, FILE))]

    def get_output_mapping(self) -> dict[str, str]:
        return {}
