"""Targets that build on another: `[tool.modelyard.targets.prod] extends = "kubernetes"`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.config.profiles import lay_over
from modelyard.errors import ConfigError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.toml.places import Where

EXTENDS = "extends"


def extended(targets: Mapping[str, Any], name: str, where: Where) -> dict[str, Any]:
    """Return the table of the target `name`, laid over that of the target which it extends, and so on; with `use`.

    Tables in it are laid over key by key, any other value as a whole, as a profile's are.

    Args:
        targets: `[tool.modelyard.targets]`.
        name: the target.
        where: the place of `targets`.

    Raises:
        ConfigError: there is no such target, or one extends itself; or two in the chain name different components.
    """
    chain = [name]
    while (base := _base(targets, chain[-1], where)) is not None:
        if base in chain:
            way = " -> ".join((*chain[chain.index(base) :], base))
            msg = (
                f"{where.at(chain[-1], EXTENDS)}: key {EXTENDS!r}: {base!r} extends itself: {way}\n  remove one of them"
            )
            raise ConfigError(msg)
        chain.append(base)
    merged: dict[str, Any] = {"use": chain[-1]}
    for one in reversed(chain):
        own = {key: value for key, value in targets[one].items() if key != EXTENDS}
        if one != chain[-1] and own.get("use", merged["use"]) != merged["use"]:
            msg = (
                f"{where.at(one, 'use')}: key 'use': {own['use']!r} is another component than that of the target which "
                f"is extended\n  allowed: {merged['use']!r}, or no {EXTENDS!r}"
            )
            raise ConfigError(msg)
        merged = lay_over(merged, own, {}) if one != chain[-1] else {**merged, **own}
    return merged


def _base(targets: Mapping[str, Any], name: str, where: Where) -> str | None:
    table = targets[name]
    base = table.get(EXTENDS) if isinstance(table, dict) else None
    if base is None:
        return None
    if not isinstance(base, str) or not isinstance(targets.get(base), dict):
        others = [other for other in targets if other != name]
        said = did_you_mean(base, others) if isinstance(base, str) else ""
        msg = f"{where.at(name, EXTENDS)}: key {EXTENDS!r}: {base!r} is no target{said}\n  targets: {listing(others)}"
        raise ConfigError(msg)
    return base
