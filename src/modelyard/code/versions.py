"""Versions of installed distributions, found without parsing their metadata.

`importlib.metadata` is imported where a folder's name does not tell: with the mail formats that it reads metadata by, it
takes a tenth of what a worker takes to start.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path

NOT_INSTALLED = "not installed"
"""What stands in a key for the version of what is not there."""


def installed_version(name: str) -> str:
    """Return the version of the distribution `name`.

    Raises:
        ModuleNotFoundError: it is not installed.

    Source: the folder's name, `name-version.dist-info` ("Recording installed projects", packaging specifications);
    reading it off METADATA costs a hundred times as much.
    """
    return versions_by_name().get(normalized(name)) or _read_version(name)


def _read_version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


@functools.cache
def versions_by_name() -> dict[str, str]:
    """Return the versions of all distributions on the path by name, dashes for dots and underscores; empty if a folder's name does not tell."""
    found: dict[str, str] = {}
    for folder in sys.path:
        for entry in names_in(folder or "."):
            stem, _, kind = entry.rpartition(".")
            if kind in ("dist-info", "egg-info"):
                name, _, version = stem.partition("-")
                found.setdefault(normalized(name), version if kind == "dist-info" else "")
    return found


def all_versions() -> dict[str, str]:
    """Return the versions of all installed distributions, by their normalized names."""
    return {name: version or _read_version(name) for name, version in versions_by_name().items()}


def distributions_with(top: str) -> list[str]:
    """Return the distributions that hold the top-level module `top`, by the names that they give themselves.

    Source: `top_level.txt` where setuptools wrote one, else RECORD ("Recording installed projects", packaging
    specifications); `importlib.metadata.packages_distributions`, which reads all that there is, takes ten times as long.
    """
    from importlib.metadata import Distribution

    infos = (Path(folder or ".", entry) for folder in sys.path for entry in names_in(folder or "."))
    found = (info for info in infos if info.suffix in (".dist-info", ".egg-info") and _holds(info, top))
    return list(dict.fromkeys(Distribution.at(info).metadata["Name"] for info in found))


def _holds(info: Path, top: str) -> bool:
    declared = _text(info / "top_level.txt").split()
    if declared:
        return top.encode() in declared
    return bool(re.search(rb'^"?%b(/|\.[^/,]*,)' % re.escape(top).encode(), _text(info / "RECORD"), re.MULTILINE))


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def names_in(folder: str) -> list[str]:
    """Return what is in a folder of the path; nothing if it is not there, or is an archive."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - hundreds of names, in every `doit`
    except OSError:
        return []


_DASHES = str.maketrans("_.", "--")


def normalized(name: str) -> str:
    """Return the one name of all spellings of a distribution's ("Names and normalization", packaging specifications)."""
    found = name.lower().translate(_DASHES)
    while "--" in found:
        found = found.replace("--", "-")
    return found


def tool_version(name: str) -> str:
    """Return the version of the distribution `name`, or `not installed`."""
    try:
        return installed_version(name)
    except ModuleNotFoundError:
        return NOT_INSTALLED
