"""The plugins that modelyard brings: where they are, and what each is there for.

A file in the folder of a kind registers one component of that kind, called like the file: `optimizers/dynamic_range.py`
the optimizer `dynamic-range`, `trainers/import_.py` the trainer `import`. So what there is can be told without importing it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from modelyard.component import KINDS, Source

BUILT_IN = "modelyard_plugins"


class BuiltIn(msgspec.Struct, frozen=True):
    """One built-in plugin.

    Attributes:
        module: its full name.
        source: what it is called in messages, and its file.
        component: the kind and the name of the component that it registers; None: it has other hooks.
    """

    module: str
    source: Source
    component: tuple[str, str] | None


def defaults() -> Mapping[str, str]:
    """Return, for kinds of component, the name of the one that a project gets which names none."""
    found: Mapping[str, str] = importlib.import_module(f"{BUILT_IN}.defaults").DEFAULTS
    return found


def root() -> Path:
    """Return the folder of the built-in plugins."""
    return Path(importlib.import_module(BUILT_IN).__path__[0])


def built_ins() -> Iterator[BuiltIn]:
    """Yield the built-in plugins in the order of their files; none is imported."""
    home = root()
    for folder in sorted({*names_in(home)} - {"support"}):
        kind = folder.removesuffix("s")
        for file in python_files(home / folder):
            stem = file.stem
            if stem == "__init__":
                continue
            component = (kind, stem.rstrip("_").replace("_", "-")) if kind in KINDS else None
            yield BuiltIn(f"{BUILT_IN}.{folder}.{stem}", Source(f"{folder}.{stem}", "built-in", file), component)


def python_files(folder: Path) -> list[Path]:
    """Return the files of Python in `folder`, sorted; pathlib's own search takes several times as long, in every `doit`."""
    return [Path(f"{folder}/{name}") for name in sorted(names_in(folder)) if name.endswith(".py")]


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in `folder`; none if there is no such folder."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - see `python_files`
    except OSError:
        return []
