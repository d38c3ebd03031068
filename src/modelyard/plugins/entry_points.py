"""Entry points of installed distributions: those of the groups that are asked for are parsed, and no others.

A distribution says its groups in a file that a few have; `importlib.metadata` parses that of each to find one group.
"""

from __future__ import annotations

import functools
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from modelyard.code.versions import normalized

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import Distribution, EntryPoint

_FILE = "entry_points.txt"
_Written = list[tuple[str, "Distribution"]]


def _written() -> _Written:
    """Return what each distribution on the path has written of its entry points; takes some 8 us a distribution."""
    found = ((one.read_text(_FILE), one) for one in distributions())
    return [(text, distribution) for text, distribution in found if text]


_read: Callable[[], _Written] = _written


def read_once() -> None:
    """From now on, read them once: for a process that lives no longer than a build."""
    global _read
    _read = functools.cache(_written)


def entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of `group`; of distributions with one name, those of the first on the path."""
    named = [one for text, one in _read() if f"[{group}]" in text]
    firsts = {normalized(name): next(iter(distributions(name=name)), one) for one in named if (name := _name(one))}
    return [point for one in firsts.values() for point in one.entry_points if point.group == group]


def _name(distribution: Distribution) -> str:
    """Return the name of `distribution`; to parse all of its metadata for it takes a hundred times as long.

    Source: the header `Name` ("Core metadata specifications").
    """
    metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    return f"\n{metadata}".partition("\nName:")[2].partition("\n")[0].strip()
