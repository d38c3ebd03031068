"""Several trainings, each key checked: what `[tool.modelyard.trainings]` lays out becomes components with parameters."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from modelyard.config.keys import default_components
from modelyard.config.scalar import scalar
from modelyard.config.tables import TRAININGS as TABLE
from modelyard.config.tables import Seed
from modelyard.config.training import Training
from modelyard.config.trainings import LaidOut, lay_out
from modelyard.errors import ConfigError, did_you_mean, listing

if TYPE_CHECKING:
    from modelyard.config.pipeline import PipelineReader

MOST = 1024
"""Variants of all trainings together: each is measured, and a line of one table."""


def several(reader: PipelineReader, variants: Sequence[str], seed: int) -> Iterator[Training]:
    """Yield the trainings of a project that has `[tool.modelyard.trainings]`.

    Args:
        reader: what reads the project's tables.
        variants: all variants by name.
        seed: the project's seed, of those that say none.

    Raises:
        ConfigError: a name, key or value is not allowed, or there are too many variants.
    """
    found = 0
    for one in lay_out(reader.raw, reader.source, default_components(reader.plugins), reader.plugins):
        training = _checked(reader, one, variants, seed)
        found += len(training.variants)
        if found > MOST:
            msg = (
                f"{reader.where(TABLE)}: the trainings have more than {MOST:,} variants together\n"
                f'  choose those of each, for instance variants = ["{variants[0]}"], or use fewer values'
            )
            raise ConfigError(msg)
        yield training


def _checked(reader: PipelineReader, one: LaidOut, variants: Sequence[str], seed: int) -> Training:
    where = reader.where(TABLE, one.table)
    reader.check_name("training", one.name, where)
    try:
        uses = reader.training_uses(one.tables, one.where, is_asked="model" in one.own)
        own_seed = scalar("seed", one.tables.get("seed", seed), Seed, one.where["seed"])
    except ConfigError as exc:
        msg = f"{exc}\n  {one.note}"
        raise ConfigError(msg) from exc
    training = Training(
        name=one.name,
        uses=uses,
        seed=own_seed,
        variants=tuple(_chosen(reader, one, variants)),
        over_seeds=one.over_seeds,
        where=one.where,
    )
    for variant in training.variants:
        reader.check_name("variant", training.full(variant), where)
    return training


def _chosen(reader: PipelineReader, one: LaidOut, variants: Sequence[str]) -> list[str]:
    """Return the variants that a training wants, in the order of all: all of them unless it says which."""
    wanted: Any = reader.raw[TABLE][one.table].get("variants", ["*"])
    where = reader.where(TABLE, one.table).at("variants")
    if not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        msg = f"{where}: key 'variants': {wanted!r} is not allowed\n  write a list of variants' names, or patterns: {listing(variants)}"
        raise ConfigError(msg)
    for name in wanted:
        if not fnmatch.filter(variants, name):
            msg = f"{where}: key 'variants': there is no variant {name!r}{did_you_mean(name, variants)}\n  variants: {listing(variants)}"
            raise ConfigError(msg)
    return [variant for variant in variants if any(fnmatch.fnmatchcase(variant, name) for name in wanted)]
