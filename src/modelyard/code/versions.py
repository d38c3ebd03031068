"""Versions of installed distributions, found without parsing their metadata."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys


def installed_version(name: str) -> str:
    """Return the version of the distribution `name`.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.

    Source: the folder's name, `name-version.dist-info` ("Recording installed projects", packaging specifications);
    reading it off METADATA costs a hundred times as much.
    """
    return versions_by_name().get(_normal(name)) or importlib.metadata.version(name)


@functools.cache
def versions_by_name() -> dict[str, str]:
    """Return the versions of all distributions on the path by name, dashes for dots and underscores; empty if a folder's name does not tell."""
    found: dict[str, str] = {}
    for folder in sys.path:
        for entry in _names(folder or "."):
            stem, _, kind = entry.rpartition(".")
            if kind in ("dist-info", "egg-info"):
                name, _, version = stem.partition("-")
                found.setdefault(_normal(name), version if kind == "dist-info" else "")
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - hundreds of names, in every `doit`
    except OSError:  # not there, or an archive
        return []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def tool_version(name: str) -> str:
    """Return the version of the distribution `name`, or `not installed`."""
    try:
        return installed_version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
