"""`modelyard`: the one command that cannot be doit's, since there is no dodo.py yet."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from modelyard.errors import ConfigError, ModelyardError

_FILES = ("dodo.py", "pyproject.toml", ".gitignore", "README.md", "plugins/half_precision.py", "templates/README.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if all went well, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="modelyard", description="Make for deep-learning deployment; builds are run with `doit`.")
    parser.add_argument("--version", action="version", version=f"modelyard {version('modelyard')}")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("init", help="start a project that builds at once")
    new.add_argument("folder", nargs="?", default=".", help="where to; made if need be (default: here)")
    new.add_argument("--name", help="the project's name (default: the folder's)")
    options = parser.parse_args(arguments)
    try:
        print(init(Path(options.folder), options.name))  # noqa: T201 - this is the command's answer
    except ModelyardError as exc:
        sys.stderr.write(f"modelyard: {exc}\n")
        return 2
    return 0


def init(folder: Path, name: str | None = None) -> str:
    """Write a new project into `folder` and return what to do next.

    Raises:
        ConfigError: a file that it would write is there already.
    """
    from modelyard.rendering import builtin_folder

    name = name or re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "project"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?", name):
        msg = f"init: {name!r} is not allowed as a name\n  allowed: 1 to 52 lower-case letters, digits and dashes"
        raise ConfigError(msg)
    there = [file for file in _FILES if (folder / file).exists()]
    if there:
        msg = f"init: {folder / there[0]} is there already\n  choose an empty folder: nothing is overwritten"
        raise ConfigError(msg)
    for file in _FILES:
        text = (builtin_folder() / "project" / f"{file.lstrip('.')}.txt").read_text(encoding="utf-8")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text.replace("@name@", name), encoding="utf-8")
    place = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    return f"{name}: {len(_FILES)} files in {folder}\n  next: {place}doit"


if __name__ == "__main__":
    sys.exit(main())
