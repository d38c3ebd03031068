"""The models of one server: where they lie, and which of them a request asks.

A folder with a `model.json` is one model. Else each folder in it is one, called as the folder is, or as many versions of one
as there are folders in that, called by whole numbers: `fruit/model.json`, or `fruit/1/model.json` and `fruit/2/model.json`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .errors import StartError
from .settings import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from .engine import Engine
    from .limits import Limits
    from .served import Served
    from .settings import Settings

FACTS = "model.json"
_ASKED = re.compile(r"/v[12]/models/([^/:]+)(?:/versions/([^/:]+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """Where a model lies.

    Attributes:
        folder: the folder with its `model.json`.
        name: what it is called; None: as the settings, or the facts, say.
        version: its version, a whole number as text.
    """

    folder: Path
    name: str | None
    version: str


@dataclass(frozen=True, eq=False)
class Open:
    """A model that is asked: how the protocols show it, what predicts, and what one request may take."""

    model: Served
    engine: Engine
    limits: Limits


def places(settings: Settings) -> list[Place]:
    """Return where the models lie, by name and version.

    Raises:
        StartError: a folder cannot be the name of a model, or two are one version.
    """
    root = settings.model_dir
    alone = Place(root, None, settings.model_version)
    if (root / FACTS).is_file() or not root.is_dir():
        return [alone]
    found: list[Place] = []
    for folder in sorted(root.iterdir()):
        found += _versions(folder, settings.model_version)
    return found or [alone]


def _versions(folder: Path, version: str) -> list[Place]:
    if folder.name.startswith(".") or not folder.is_dir():
        return []  # a mounted ConfigMap has such folders, too
    if (folder / FACTS).is_file():
        found = [Place(folder, folder.name, version)]
    else:
        numbered = [one for one in folder.iterdir() if one.name.isascii() and one.name.isdecimal()]
        found = [Place(one, folder.name, one.name) for one in numbered if (one / FACTS).is_file()]
    numbers = [int(one.version) for one in found]
    if found and not NAME.fullmatch(folder.name):
        msg = f"{folder}: a model cannot be called {folder.name!r}; allowed: letters, digits, '.', '_', '-'"
        raise StartError(msg)
    if len(set(numbers)) < len(numbers):
        msg = f"{folder}: two folders are one version: {', '.join(sorted(one.version for one in found))}"
        raise StartError(msg)
    return sorted(found, key=lambda one: int(one.version))


def knowing_each_other(models: Sequence[Served]) -> list[Served]:
    """Return models that say in their refusals which others there are, and in their metadata which other versions."""
    names = tuple(dict.fromkeys(one.name for one in models))
    versions = {name: tuple(one.version for one in models if one.name == name) for name in names}
    return [replace(one, names=names, versions=versions[one.name]) for one in models]


class Repository:
    """The models of one server, the versions of one in their order.

    Attributes:
        models: all of them.
    """

    def __init__(self, models: Iterable[Open]) -> None:
        self.models = tuple(models)
        self._only = self.models[0] if len(self.models) == 1 else None

    @property
    def first(self) -> Open:
        """The only model; of several the one that says what the server can do: the first that has sequences, if any has."""
        return next((one for one in self.models if not one.model.no_sequences), self.models[0])

    @property
    def is_one(self) -> bool:
        """Whether there is but one, which every request is about."""
        return self._only is not None

    def asked(self, path: str) -> Open:
        """Return the model that a path is about, see `find`."""
        if self._only is not None:
            return self._only
        match = _ASKED.match(path)
        return self.find(*match.groups()) if match else self.first

    def find(self, name: str, version: str | None) -> Open:
        """Return the model called `name` in that version, the highest if none is named.

        Where there is none, another one, which will refuse the request in the words of its protocol.
        """
        versions = [one for one in self.models if one.model.name == name]
        if not versions:
            return self.first
        wanted = _number(version)
        return next((one for one in versions if int(one.model.version) == wanted), versions[-1])

    def index(self) -> list[dict[str, Any]]:
        """Return what the repository extension of the Open Inference Protocol says that there is."""
        return [{"name": one.model.name, "version": one.model.version, "state": "READY"} for one in self.models]


def _number(version: str | None) -> int | None:
    is_number = version is not None and version.isascii() and version.isdecimal() and len(version) < 20
    return int(version) if is_number and version is not None else None
