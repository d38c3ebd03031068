"""What the file system said when something was found out; asked again, it tells whether that still stands."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from modelyard.files.digests import RACY_NS, signature

Mark = tuple[int, int, int, int] | None


class Probes:
    """Answers whether files are there, and remembers each answer."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._began_ns = time.time_ns()

    def is_file(self, path: str | Path) -> bool:
        """Tell whether `path` is a file."""
        info = self._look(str(path))
        return info is not None and stat.S_ISREG(info.st_mode)

    def watch(self, path: str) -> None:
        """Remember what is at `path`: for a folder, which names are in it."""
        self._look(path)

    def _look(self, path: str) -> os.stat_result | None:
        try:
            info = os.stat(path)
        except OSError:
            self._marks[path] = None
            return None
        self._marks.setdefault(path, signature(info))
        return info

    def is_current(self) -> bool:
        """Tell whether every answer would be the same now, and no file was so young that a change could hide."""
        settled_ns = self._began_ns - RACY_NS
        return all(_stands(path, mark) and (mark is None or mark[3] < settled_ns) for path, mark in self._marks.items())

    @property
    def marks(self) -> dict[str, Mark]:
        """What was at each path that was asked for; worth keeping only while all answers are current."""
        return self._marks

    def adopt(self, marks: dict[str, Mark]) -> bool:
        """Go on from the marks that another process kept, if each is as it was; tell whether they were."""
        same = all(_stands(path, mark) for path, mark in marks.items())
        if same:
            self._marks |= marks
        return same


def _stands(path: str, mark: Mark) -> bool:
    """Tell whether `path` is as `mark` says; at half of all paths there is nothing, which costs least to ask without an error."""
    return mark_of(path) == mark if mark else not os.access(path, os.F_OK)


def mark_of(path: str) -> Mark:
    """Return the signature of the file at `path`, or None if there is none."""
    try:
        return signature(os.stat(path))
    except OSError:
        return None
