"""Which files are the project's own: those that a person writes, of all that lie in its folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import FrameType

from modelyard.code.imports import installed_folders

_OWN = ("modelyard", "modelyard_plugins", "modelyard_templates")
_MADE = (".modelyard", ".git", "artifacts/.unfinished")
"""What modelyard and git keep in a project's folder."""

Place = tuple[str, int]
"""A file and a line of it."""


class Territory:
    """The folder of one project, without what others put there: environments, git, modelyard itself in its own clone."""

    def __init__(self, project: str) -> None:
        self.root = f"{project}/"
        prefixes = {f"{prefix}/" for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix) if prefix != project}
        made = (f"{self.root}{name}/" for name in _MADE)
        self._modelyard = _own_folders()
        self._others = (*prefixes, *installed_folders(), *made, *self._modelyard)

    def holds(self, path: str) -> bool:
        """Tell whether the file at the absolute `path` is the project's own."""
        if not path.startswith(self.root) or path.startswith(self._others):
            return False
        return ".egg-info/" not in path and ".dist-info/" not in path

    def is_modelyard(self, path: str) -> bool:
        """Tell whether the file at `path` is modelyard's own."""
        return path.startswith(self._modelyard)

    def name(self, path: str) -> str:
        """Return `path` as a person in the project's folder would write it."""
        return os.path.relpath(path, self.root)

    def reader(self, also: frozenset[str] | set[str] = frozenset()) -> Place | None:
        """Return the innermost place in the project's own code that the caller was called from; None if there is none.

        Args:
            also: other files that count as its own.
        """
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - what the standard library's logging does
        while frame is not None:
            file = frame.f_code.co_filename
            if file in also or self.holds(file):
                return file, frame.f_lineno
            frame = frame.f_back
        return None


def _own_folders() -> tuple[str, ...]:
    """Return the folders of modelyard itself: in its own clone they are below a project's folder."""
    specs = (importlib.util.find_spec(name) for name in _OWN)
    places = (place for spec in specs if spec for place in spec.submodule_search_locations or ())
    return tuple(f"{os.path.realpath(place)}/" for place in places)
