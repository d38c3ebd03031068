"""Profiles: `[tool.modelyard.profiles.NAME]` holds tables that `doit profile=NAME` lays over the configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.toml.places import ConfigSource, Where


def take_profiles(raw: dict[str, Any], keys: Collection[str], source: ConfigSource) -> dict[str, dict[str, Any]]:
    """Take the profiles out of `[tool.modelyard]`.

    Args:
        raw: the table; its key `profiles` is removed.
        keys: the keys that the table, and so a profile, may hold.
        source: what the table was read from.

    Raises:
        ConfigError: `profiles` or one of them is not a table, or holds an unknown key.
    """
    profiles = raw.pop("profiles", {})
    for name, tables in _table(profiles, source.where("profiles")).items():
        where = source.where("profiles", name)
        for key in _table(tables, where):
            if key not in keys:
                msg = f"{where.at(key)}: unknown key {key!r}{did_you_mean(key, keys)}\n  allowed: {listing(keys)}"
                raise ConfigError(msg)
    return dict(profiles)


def _table(value: Any, where: Where) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        msg = f"{where}: {value!r} is not a table\n  write [tool.modelyard.profiles.NAME.TABLE]"
        raise ConfigError(msg)
    return value


def choose_profile(profiles: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the tables of the profile `name`; of no profile if it is empty.

    Raises:
        ConfigError: there is no such profile.
    """
    if name and name not in profiles:
        msg = (
            f"command line: unknown profile {name!r}{did_you_mean(name, profiles)}\n"
            f"  profiles in pyproject.toml, [tool.modelyard.profiles.NAME]: {listing(profiles)}"
        )
        raise ConfigError(msg)
    return profiles[name] if name else {}


def lay_over(base: Mapping[str, Any], above: Mapping[str, Any], defaults: Mapping[str, str]) -> dict[str, Any]:
    """Return `base` with `above` laid over it: tables key by key, any other value as a whole.

    A table that names another component (`use`) takes the place of the one below: the parameters of one component
    mean nothing to another.

    Args:
        base: `[tool.modelyard]`, or a table in it.
        above: what a profile says of it.
        defaults: the component of a table that does not say `use`; of any other table, its own name.
    """
    merged = dict(base)
    for key, value in above.items():
        below = merged.get(key)
        if (
            isinstance(below, dict)
            and isinstance(value, dict)
            and not names_another(value, below, defaults.get(key, key))
        ):
            value = lay_over(below, value, defaults)  # noqa: PLW2901 - what is laid down is the merged table
        merged[key] = value
    return merged


def names_another(above: Mapping[str, Any], below: Mapping[str, Any], default: str) -> bool:
    """Tell whether the table `above` names another component than the one `below`, which may leave out `default`."""
    wanted = above.get("use")
    return isinstance(wanted, str) and wanted != below.get("use", default)
