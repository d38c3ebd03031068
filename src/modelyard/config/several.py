"""Several trainings, each key checked: what `[tool.modelyard.trainings]` lays out becomes components with parameters."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from modelyard.component import Use
from modelyard.config.keys import default_components
from modelyard.config.names import check_name
from modelyard.config.scalar import scalar
from modelyard.config.tables import TRAININGS as TABLE
from modelyard.config.tables import Seed
from modelyard.config.training import Training
from modelyard.config.trainings import LaidOut, lay_out
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource, Place, Where

MOST = 1024
"""Variants of all trainings together: each is measured, and a line of one table."""


class UsesOf(Protocol):
    """Makes components with parameters of the tables of one training."""

    def __call__(
        self, tables: Mapping[str, Mapping[str, Any]], where: Mapping[str, Where], *, is_asked: bool
    ) -> dict[str, Use]:
        """Return them; `is_asked`: the project wants a model of its own to be trained."""
        ...


def several(
    raw: Mapping[str, Any],
    source: ConfigSource,
    plugins: Plugins,
    uses_of: UsesOf,
    variants: Sequence[str],
    seed: int,
) -> Iterator[Training]:
    """Yield the trainings of a project that has `[tool.modelyard.trainings]`.

    Args:
        raw: `[tool.modelyard]`.
        source: what it was read from.
        plugins: the project's plugins.
        uses_of: makes the components of each.
        variants: all variants by name.
        seed: the project's seed, of those that say none.

    Raises:
        ConfigError: a name, key or value is not allowed, or there are too many variants.
    """
    found = 0
    for one in lay_out(raw, source, default_components(plugins), plugins):
        where = source.where(TABLE, one.table)
        wanted = chosen(raw[TABLE][one.table].get("variants", ["*"]), where.at("variants"), variants)
        training = _checked(one, where, uses_of, wanted, seed)
        found += len(training.variants)
        if found > MOST:
            msg = (
                f"{source.where(TABLE)}: the trainings have more than {MOST:,} variants together\n"
                f'  choose those of each, for instance variants = ["{variants[0]}"], or use fewer values'
            )
            raise ConfigError(msg)
        yield training


def _checked(one: LaidOut, where: Where, uses_of: UsesOf, variants: tuple[str, ...], seed: int) -> Training:
    check_name("training", one.name, where)
    try:
        uses = uses_of(one.tables, one.where, is_asked="model" in one.own)
        own_seed = scalar("seed", one.tables.get("seed", seed), Seed, one.where["seed"])
    except ConfigError as exc:
        msg = f"{exc}\n  {one.note}"
        raise ConfigError(msg) from exc
    training = Training(
        name=one.name,
        uses=uses,
        seed=own_seed,
        variants=variants,
        over_seeds=one.over_seeds,
        where=one.where,
    )
    for variant in training.variants:
        check_name("variant", training.full(variant), where)
    return training


def chosen(wanted: Any, where: Place, variants: Sequence[str]) -> tuple[str, ...]:
    """Return the variants that a key `variants` names, in the order of all.

    Args:
        wanted: what the key holds: names, or patterns.
        where: its place.
        variants: all variants by name.

    Raises:
        ConfigError: it is no list, or names what is no variant.
    """
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        msg = f"{where}: key 'variants': {wanted!r} is not allowed\n  write a list of variants' names, or patterns: {listing(variants)}"
        raise ConfigError(msg)
    for name in wanted:
        if not fnmatch.filter(variants, name):
            msg = f"{where}: key 'variants': there is no variant {name!r}{did_you_mean(name, variants)}\n  variants: {listing(variants)}"
            raise ConfigError(msg)
    return tuple(variant for variant in variants if any(fnmatch.fnmatchcase(variant, name) for name in wanted))
