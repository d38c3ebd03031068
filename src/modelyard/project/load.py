"""A project, loaded: its plugins, configuration and plan. Needs no doit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from modelyard.code.imports import watch_sources
from modelyard.config.config import Config
from modelyard.config.read import load_config
from modelyard.errors import ConfigError
from modelyard.plan.planner import Plan, build_plan
from modelyard.plugins.load import Plugins, load_plugins


class Project(msgspec.Struct, frozen=True):
    """What a folder with a `[tool.modelyard]` stands for.

    Attributes:
        folder: the folder, absolute.
        plugins: the plugins.
        plan: the stages, with the configuration.
        overrides: what the command line sets.
        is_whole: whether the files that parameters name are there; not so in a folder that holds what one stage needs.
    """

    folder: Path
    plugins: Plugins
    plan: Plan
    overrides: dict[str, str]
    is_whole: bool = True

    @property
    def config(self) -> Config:
        """The project's configuration, overrides included."""
        return self.plan.config

    @property
    def state(self) -> Path:
        """The folder for locks, logs, downloads and the store; git must ignore it."""
        return state_of(self.folder)


def state_of(folder: Path) -> Path:
    """Return the folder for locks, logs, downloads and the store of the project in `folder`."""
    return folder / ".modelyard"


def load(folder: Path, overrides: Mapping[str, str] | None = None, *, is_whole: bool = True) -> Project:
    """Load the project in `folder`, of which some files need not be there if it is not `is_whole`.

    Raises:
        ModelyardError: the configuration, a plugin or the plan has a mistake.
    """
    folder = folder.resolve()
    _check_path(str(folder))
    watch_sources()
    plugins = load_plugins(folder)
    config = load_config(folder, plugins, overrides, look_at_inputs=is_whole)
    return Project(folder, plugins, build_plan(config, plugins), dict(overrides or {}), is_whole)


def _check_path(folder: str) -> None:
    """Refuse a path that a line of text cannot hold: processes hand such lines to each other, and files keep them."""
    is_text = not any("\ud800" <= sign <= "\udfff" for sign in folder)  # what is no UTF-8 comes as surrogates
    if is_text and not any(sign < " " or sign == "\x7f" for sign in folder):
        return
    why = "has a control character in it" if is_text else "is not UTF-8"
    msg = f"the project's path {os.fsencode(folder)!r} {why}\n  rename the folder"
    raise ConfigError(msg)
