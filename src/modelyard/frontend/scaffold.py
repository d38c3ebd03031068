"""Start something new from the files in `templates/`: a project that builds at once, or a package of plugins."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROJECT = ("dodo.py", "pyproject.toml", ".gitignore", "README.md", "plugins/half_precision.py", "templates/README.md")
_PLUGIN = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "src/@package@/__init__.py": "src/package/__init__.py",
    "src/@package@/optimizer.py": "src/package/optimizer.py",
    "src/@package@/target.py": "src/package/target.py",
    "src/@package@/templates/@short@-script/run.sh.j2": "src/package/templates/run.sh",
    "tests/conftest.py": "tests/conftest.py",
    "tests/test_optimizer.py": "tests/test_optimizer.py",
    "tests/test_target.py": "tests/test_target.py",
}
"""What a package of plugins consists of: each file, and the template that it is made from."""

_SIGNS = "1 to 52 lower-case letters, digits and dashes"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")
_PLUGIN_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
_TAKEN = {"modelyard", "modelyard_plugins", "modelyard_templates", *sys.stdlib_module_names}
"""Packages that an import finds first, or that must not be hidden."""


def new_project(folder: Path, name: str | None = None) -> str:
    """Write a new project into `folder` and return what to do next.

    Raises:
        ConfigError: the name is not allowed, a file that it would write is there already, or the folder cannot be written.
    """
    made = _slug(folder.resolve().name) or "project"
    if name is not None and not _NAME.fullmatch(name):
        raise _not_allowed(name, _slug(name) or made, f"{_SIGNS}, not starting or ending with a dash")
    name = name or made
    texts = {file: _template(f"project/{file.lstrip('.')}").replace("@name@", name) for file in _PROJECT}
    _write_all(folder, texts)
    return f"{name}: {len(texts)} files in {folder}\n  next: {_go(folder)}doit"


def new_plugin(folder: Path, name: str) -> str:
    """Write a package of plugins that can be installed and whose tests pass, and return what to do next.

    Args:
        folder: where to.
        name: the distribution's name, for instance `modelyard-edge`; its components are called after it.

    Raises:
        ConfigError: as `new_project`.
    """
    package = name.replace("-", "_")
    if not _PLUGIN_NAME.fullmatch(name) or package in _TAKEN or keyword.iskeyword(package):
        nearest = f"modelyard-{_slug(name.removeprefix('modelyard')) or 'mine'}"
        allowed = f"{_SIGNS}, a letter first and no dash last; no name of Python's or modelyard's own"
        raise _not_allowed(name, nearest, allowed)
    words = {"name": name, "package": package, "short": name.removeprefix("modelyard-")}
    texts = {_fill(file, words): _fill(_template(f"plugin/{source}"), words) for file, source in _PLUGIN.items()}
    _write_all(folder, texts)
    return f"{name}: {len(texts)} files in {folder}\n  next: {_go(folder)}python -m pip install -e '.[test]' && python -m pytest"


def _fill(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _not_allowed(name: str, nearest: str, allowed: str) -> ConfigError:
    return ConfigError(f"init: {name!r} is not allowed as a name, did you mean {nearest!r}?\n  allowed: {allowed}")


def _write_all(folder: Path, texts: Mapping[str, str]) -> None:
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


def _go(folder: Path) -> str:
    return "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:52].rstrip("-")


def _template(file: str) -> str:
    from modelyard.rendering.templates import builtin_folder

    return (builtin_folder() / f"{file}.txt").read_text(encoding="utf-8")
