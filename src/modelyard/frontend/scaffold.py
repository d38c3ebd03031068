"""Start something new from the files in `templates/`: a project that builds at once."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROJECT = ("dodo.py", "pyproject.toml", ".gitignore", "README.md", "plugins/half_precision.py", "templates/README.md")

SIGNS = "1 to 52 lower-case letters, digits and dashes"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")


def new_project(folder: Path, name: str | None = None) -> str:
    """Write a new project into `folder` and return what to do next.

    Raises:
        ConfigError: the name is not allowed, a file that it would write is there already, or the folder cannot be written.
    """
    made = slug(folder.resolve().name) or "project"
    if name is not None and not _NAME.fullmatch(name):
        raise not_allowed(name, slug(name) or made, f"{SIGNS}, not starting or ending with a dash")
    name = name or made
    texts = {file: template(f"project/{file.lstrip('.')}").replace("@name@", name) for file in _PROJECT}
    write_all(folder, texts)
    return f"{name}: {len(texts)} files in {folder}\n  next: {go(folder)}doit"


def not_allowed(name: str, nearest: str, allowed: str) -> ConfigError:
    """Return the error of a name that is not allowed, with one near it that is."""
    return ConfigError(f"init: {name!r} is not allowed as a name, did you mean {nearest!r}?\n  allowed: {allowed}")


def write_all(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the text of each file below `folder`, all of them or none.

    Raises:
        ConfigError: one is there already, or cannot be written.
    """
    there = [file for file in texts if (folder / file).exists()]
    if there:
        msg = f"init: {folder / there[0]} is there already\n  choose another folder: nothing is overwritten"
        raise ConfigError(msg)
    try:
        for file, text in texts.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8", newline="\n")
    except OSError as exc:
        msg = f"init: {exc.filename or folder}: {exc.strerror}\n  choose a folder that can be made and written"
        raise ConfigError(msg) from exc


def go(folder: Path) -> str:
    """Return what leads a shell from here to `folder`."""
    return "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "


def slug(text: str) -> str:
    """Return the name that is nearest to `text`; empty if nothing of it can be in one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52].rstrip("-")


def template(file: str) -> str:
    """Return the text of a built-in template."""
    from modelyard.rendering.templates import builtin_folder

    return (builtin_folder() / f"{file}.txt").read_text(encoding="utf-8")
