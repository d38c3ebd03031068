"""`modelyard`: what cannot be doit's, since there is no dodo.py yet, or since it is asked before anything is tried."""

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
    """Run the command line; 0 if all went well, 1 if the doctor finds something missing, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="modelyard", description="Make for deep-learning deployment; builds are run with `doit`."
    )
    parser.add_argument("--version", action="version", version=f"modelyard {version('modelyard')}")
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("init", help="start a project that builds at once")
    new.add_argument("folder", nargs="?", default=".", help="where to; made if need be (default: here)")
    new.add_argument("--name", help="the project's name (default: the folder's)")
    looks = commands.add_parser("doctor", help="tell what this machine lacks for the project; exit code 1 if anything")
    looks.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="values to build with, as doit takes them")
    looks.add_argument("--json", action="store_true", help="print the answer as JSON, with stable keys")
    options = parser.parse_args(arguments)
    try:
        if options.command == "doctor":
            return doctor(options.overrides, as_json=options.json)
        print(init(Path(options.folder), options.name))
    except ModelyardError as exc:
        sys.stderr.write(f"modelyard: {exc}\n")
        return 2
    return 0


def doctor(overrides: Sequence[str], *, as_json: bool = False) -> int:
    """Print what this machine has and lacks for the project in this folder or above, and return the exit code.

    Raises:
        ModelyardError: there is no project, or it has a mistake.
    """
    from modelyard.commands.base import print_json, project_folder
    from modelyard.doctor import as_text, examine
    from modelyard.project import load

    wrong = [word for word in overrides if "=" not in word]
    if wrong:
        msg = f"doctor: {wrong[0]!r} is no KEY=VALUE\n  usage: modelyard doctor [--json] [KEY=VALUE ...]"
        raise ConfigError(msg)
    found = examine(load(project_folder(), dict(word.split("=", 1) for word in overrides)))
    print_json(found) if as_json else print(as_text(found))
    return 0 if found.ok else 1


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
