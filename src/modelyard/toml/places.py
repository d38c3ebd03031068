"""Where a value of the configuration stands, as a message says it: the file's line and table, or the command line.

    pyproject.toml:17: [tool.modelyard.train]
    pyproject.toml:40: [tool.modelyard.profiles.paper.train]
    command line: train.epochs=0

Which line it is, is looked up when the message is made; a build without a mistake looks nothing up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

FILE = "pyproject.toml"
_ROOT = ("tool", "modelyard")


class ConfigSource(msgspec.Struct, frozen=True):
    """What a configuration was read from.

    Attributes:
        file: the project's pyproject.toml.
        profile: the profile that is laid over it; empty for none.
        pipeline: which of several pipelines it says, or which of the images that serve several; empty: there is but one.
        group: the table that it is in: `pipelines` or `images`.
        overrides: what the command line sets, dotted key -> value as it was written; of a pipeline, as its own table
            calls the keys.
        prefixed: those of these keys that the command line sets of the pipeline alone.
    """

    file: Path = Path()
    profile: str = ""
    overrides: Mapping[str, str] = {}
    pipeline: str = ""
    prefixed: frozenset[str] = frozenset()
    group: str = "pipelines"

    def where(self, *tables: str) -> Where:
        """Return the place of a table below `[tool.modelyard]`."""
        return Where(self, tables)

    def given(self, path: tuple[str | int, ...]) -> str:
        """Return the override that `path` comes from, as it was written, or nothing."""
        words = tuple(map(str, path))
        for key, value in self.overrides.items():
            parts = tuple(key.split("."))
            if words[: len(parts)] == parts:
                return f"{self.group}.{self.pipeline}.{key}={value}" if key in self.prefixed else f"{key}={value}"
        return ""

    def text(self, path: tuple[str | int, ...]) -> str | None:
        """Return what the command line sets for just the key `path`, as it was written; None if it sets nothing."""
        return self.overrides.get(".".join(map(str, path)))

    def find(self, path: tuple[str | int, ...]) -> tuple[tuple[str, ...], int]:
        """Return the table that `path` stands below, and the line of the nearest that there is to it; 0 if none is known.

        What a pipeline says stands above the rest, and what a profile says of either, so it is looked for there first.
        """
        lines = self._lines()
        roots = [(*_ROOT, "profiles", self.profile), _ROOT] if self.profile else [_ROOT]
        if self.pipeline:
            roots = [(*root, self.group, self.pipeline) for root in roots] + roots
        found = [(_depth((*root, *path), lines) - len(root), root) for root in roots]
        depth, root = max(found, key=lambda one: one[0])
        return root, lines.get((*root, *path)[: len(root) + depth], 0)

    def _lines(self) -> Mapping[tuple[str | int, ...], int]:
        from modelyard.toml.lines import lines_of  # nobody makes mistakes as a rule

        try:
            return lines_of(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _depth(path: tuple[str | int, ...], lines: Mapping[tuple[str | int, ...], int]) -> int:
    return next((length for length in range(len(path), 0, -1) if path[:length] in lines), 0)


class Where(msgspec.Struct, frozen=True):
    """A table, or a key or element in it; as text, what a message begins with.

    Attributes:
        source: what the configuration was read from.
        tables: the table, below `[tool.modelyard]`.
        path: the way from there to the key or element.
    """

    source: ConfigSource
    tables: tuple[str, ...] = ()
    path: tuple[str | int, ...] = ()

    def at(self, *path: str | int) -> Where:
        """Return the place of a key or element in this one; the text names the same table, and that one's line."""
        return Where(self.source, self.tables, (*self.path, *path))

    def __str__(self) -> str:
        full = (*self.tables, *self.path)
        given = self.source.given(full)
        if given:
            return f"command line: {given}"
        root, line = self.source.find(full)
        return f"{FILE}{f':{line}' if line else ''}: [{'.'.join((*root, *self.tables))}]"

    @property
    def written(self) -> str | None:
        """What the command line sets here, as it was written; None if it sets nothing."""
        return self.source.text((*self.tables, *self.path))


Place = Where | str
"""Where a value comes from: of a configuration, or, for other callers, in words."""


def at(where: Place, *path: str | int) -> Place:
    """Return the place of what stands at `path` below `where`; words stay as they are."""
    return where.at(*path) if isinstance(where, Where) else where


_SAID = r"\[tool\.modelyard\.([^\]]+)\]: key '([^']+)'"


def placed(message: str, source: ConfigSource) -> str:
    """Return what a stage says, with file and line where it begins with a table and its key: a stage reads no configuration."""
    found = re.match(_SAID, message)
    if found is None:
        return message
    tables, key = found.groups()
    return f"{KeyPlace(source.where(*tables.split('.')), key)}{message[found.end() :]}"


class KeyPlace(msgspec.Struct, frozen=True):
    """The place of a key, as text with the key's name: for callers that know the value alone."""

    where: Place
    key: str

    def __str__(self) -> str:
        return f"{at(self.where, self.key)}: key {self.key!r}"
