"""`modelyard`: the one command that cannot be doit's, since there is no dodo.py yet."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ConfigError, ModelyardError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = ("dodo.py", "pyproject.toml", ".gitignore", "README.md", "plugins/half_precision.py", "templates/README.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="modelyard", description="Make for deep-learning deployment; builds are run with `doit`."
    )
    parser.add_argument("--version", action="version", version=f"modelyard {version('modelyard')}")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("init", help="start a project that builds at once")
    new.add_argument("folder", nargs="?", default=".", help="where to; made if need be (default: here)")
    new.add_argument("--name", help="the project's name (default: the folder's)")
    options = parser.parse_args(arguments)
    try:
        print(init(Path(options.folder), options.name))
    except ModelyardError as exc:
        sys.stderr.write(f"modelyard: {exc}\n")
        return 2
    return 0


def init(folder: Path, name: str | None = None) -> str:
    """Write a new project into `folder` and return what to do next.

    Raises:
        ConfigError: the name is not allowed, a file that it would write is there already, or the folder cannot be written.
    """
    name = _name(folder, name)
    there = [file for file in _FILES if (folder / file).exists()]
    if there:
        msg = f"init: {folder / there[0]} is there already\n  choose another folder: nothing is overwritten"
        raise ConfigError(msg)
    try:
        for file in _FILES:
            _write(folder / file, _template(file).replace("@name@", name))
    except OSError as exc:
        msg = f"init: {exc.filename or folder}: {exc.strerror}\n  choose a folder that can be made and written"
        raise ConfigError(msg) from exc
    place = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    return f"{name}: {len(_FILES)} files in {folder}\n  next: {place}doit"


def _name(folder: Path, name: str | None) -> str:
    """Return the project's name: the one that is asked for, else what the folder's makes."""
    made = _slug(folder.resolve().name) or "project"
    if name is None or re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", name):
        return name or made
    msg = (
        f"init: {name!r} is not allowed as a name, did you mean {_slug(name) or made!r}?\n"
        "  allowed: 1 to 52 lower-case letters, digits and dashes, not starting or ending with a dash"
    )
    raise ConfigError(msg)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52].rstrip("-")


def _template(file: str) -> str:
    from modelyard.rendering import builtin_folder

    return (builtin_folder() / "project" / f"{file.lstrip('.')}.txt").read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
