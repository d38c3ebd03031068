"""Versions of installed distributions, found without parsing their metadata."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path


@functools.cache
def installed_version(name: str) -> str:
    """Return the version of the distribution `name`.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.

    Source: the folder's name, `name-version.dist-info` ("Recording installed projects", packaging specifications);
    reading it off METADATA costs a hundred times as much.
    """
    found = importlib.metadata.distribution(name)
    folder = getattr(found, "_path", None)
    if isinstance(folder, Path) and folder.suffix == ".dist-info" and "-" in folder.stem:
        return folder.stem.rpartition("-")[2]
    return found.version


def tool_version(name: str) -> str:
    """Return the version of the distribution `name`, or `not installed`."""
    try:
        return installed_version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
