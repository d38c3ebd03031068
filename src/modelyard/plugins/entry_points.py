"""Entry points of installed distributions: those of the groups that are asked for are parsed, and no others.

A distribution says its groups in a file that a few have; `importlib.metadata` parses that of each to find one group. It is
imported only where one has the group, or the path has more than folders: see `code.versions`.

Source: "Entry points specification" and "Recording installed projects" (packaging specifications).
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from modelyard.code.versions import names_in, normalized
from modelyard.files.json import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.metadata import Distribution, EntryPoint

_FILE = "entry_points.txt"
_Written = list[tuple[str, "Callable[[], Distribution]"]]


def _written() -> _Written:
    """Return what each distribution on the path has written of its entry points, and how to open it."""
    if _has_only_folders():
        return [(text, functools.partial(_open, info)) for info in _infos() if (text := _text(f"{info}/{_FILE}"))]
    from importlib.metadata import distributions

    return [(one.read_text(_FILE) or "", functools.partial(_as_it_is, one)) for one in distributions()]


def _has_only_folders() -> bool:
    """Tell whether distributions are in folders alone: not in an archive, and not where only an importer of its own finds them."""
    own = (one for one in sys.meta_path if one is not PathFinder and hasattr(one, "find_distributions"))
    return next(own, None) is None and not any(os.path.isfile(folder) for folder in sys.path)  # noqa: PTH113 - texts


def _infos() -> Iterator[str]:
    """Yield the folders of metadata, in the order of the path."""
    for folder in (one or "." for one in sys.path):
        for name in names_in(folder):
            if name.endswith((".dist-info", ".egg-info")) or (name == "EGG-INFO" and folder.endswith(".egg")):
                yield f"{folder}/{name}"


def _text(file: str) -> str:
    try:
        return read_bytes(file).decode()
    except OSError:  # most have none
        return ""


def _open(info: str) -> Distribution:
    from importlib.metadata import Distribution

    return Distribution.at(info)


def _as_it_is(distribution: Distribution) -> Distribution:
    return distribution


_read: Callable[[], _Written] = _written


def read_once() -> None:
    """From now on, read them once: for a process that lives no longer than a build."""
    global _read
    _read = functools.cache(_written)


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of `group`; of distributions with one name, those of the first on the path."""
    named = [opened() for text, opened in _read() if f"[{group}]" in text]
    if not named:
        return []
    from importlib.metadata import distributions

    firsts = {normalized(name): next(iter(distributions(name=name)), one) for one in named if (name := _name(one))}
    return [point for one in firsts.values() for point in one.entry_points if point.group == group]


def _name(distribution: Distribution) -> str:
    """Return the name of `distribution`; to parse all of its metadata for it takes a hundred times as long.

    Source: the header `Name` ("Core metadata specifications").
    """
    metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return f"\n{metadata}".partition("\nName:")[2].partition("\n")[0].strip()
