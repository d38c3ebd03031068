"""Read `[tool.modelyard]`: strict, with a profile and the command line's overrides laid over it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from modelyard.config.config import Config
from modelyard.config.keys import default_components, keys_of
from modelyard.config.pipeline import PipelineReader
from modelyard.config.profiles import choose_profile, lay_over, take_profiles
from modelyard.errors import ConfigError
from modelyard.plugins.load import Plugins
from modelyard.toml.places import FILE, ConfigSource


def load_config(
    project: Path, plugins: Plugins, overrides: Mapping[str, str] | None = None, *, look_at_inputs: bool = True
) -> Config:
    """Read the configuration of `project`.

    Args:
        project: the folder that holds pyproject.toml.
        plugins: the plugins that the configuration may name.
        overrides: dotted key -> value in TOML, from the command line: `{"train.epochs": "3"}`; the key `profile`
            names a profile to lay over the file first.
        look_at_inputs: whether the files that parameters name must be there.

    Raises:
        ConfigError: the file is missing or not TOML, or a key, name or value is not allowed; also in a profile that
            is not chosen, save that the files which it names need not be there.
    """
    file, values = project / FILE, dict(overrides or {})
    base, fallback = _read(file)
    defaults = default_components(plugins)
    profiles = take_profiles(base, keys_of(plugins), ConfigSource(file))
    profile = values.pop("profile", "")
    raw = deepcopy(lay_over(base, choose_profile(profiles, profile), defaults))
    if values:
        from modelyard.config.overrides import override  # most builds have none

        override(raw, values, plugins)
    given = " ".join(f"{key}={value}" for key, value in (overrides or {}).items())
    source = ConfigSource(file, profile, values)
    reader = PipelineReader(project, plugins, raw, fallback, source, look_at_inputs=look_at_inputs)
    config = _config(reader, given and f"the command line sets {given}")
    names = {*config.targets, *_subtable(base, "targets")}
    for name, tables in profiles.items():
        laid = lay_over(base, tables, defaults)
        other = PipelineReader(project, plugins, laid, fallback, ConfigSource(file, name), look_at_inputs=False)
        names |= _config(other, f"in the profile {name!r}").targets.keys()
    return msgspec.structs.replace(config, target_names=frozenset(names))


def _config(reader: PipelineReader, note: str) -> Config:
    try:
        return reader.config()
    except ConfigError as exc:
        if not note or str(exc).startswith("command line: "):
            raise
        msg = f"{exc}\n  {note}"
        raise ConfigError(msg) from exc


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        msg = f"{path}: not found\n  run `modelyard init` to start a project here"
        raise ConfigError(msg) from exc
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise ConfigError(msg) from exc
    except (ValueError, RecursionError) as exc:
        from modelyard.toml.mistakes import explain  # nobody makes mistakes as a rule

        raise ConfigError(explain(str(path), path.read_bytes(), exc)) from exc
    raw = _subtable(document, "tool").get("modelyard")
    if not isinstance(raw, dict):
        msg = f"{path}: there is no table [tool.modelyard]\n  run `modelyard init` in an empty folder to see one"
        raise ConfigError(msg)
    return raw, _subtable(document, "project")


def _subtable(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
