"""The variants: chains of model optimizers, written out or made by a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modelyard.component import Use
from modelyard.config.names import check_name
from modelyard.config.table_reader import TableReader
from modelyard.errors import ConfigError

if TYPE_CHECKING:
    from modelyard.config.matrix import Combination


def read_variants(reader: TableReader) -> tuple[dict[str, tuple[Use, ...]], dict[str, tuple[str, ...]]]:
    """Return the chain of each variant, and the table that each comes from.

    Raises:
        ConfigError: a name, chain or step is not allowed, two variants have one name, or there is none.
    """
    found: dict[str, tuple[Use, ...]] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for name, steps in reader.table("variants").items():
        where = reader.where("variants").at(name)
        check_name("variant", name, where)
        if not isinstance(steps, list):
            msg = f'{where}: {name}: {steps!r} is not a list\n  write a chain of model optimizers, for instance {name} = ["int8"]'
            raise ConfigError(msg)
        chain = reader.where("variants", name)
        found[name] = tuple(reader.step(step, chain.at(number)) for number, step in enumerate(steps))
        origins[name] = ("variants",)
    for one in _combinations(reader):
        found[one.variant] = _combination(reader, one, origins)
        origins[one.variant] = ("matrix", one.matrix)
    if not found:
        msg = (
            f'{reader.where("variants")}: there is no variant\n  write at least one, for instance float32 = ["float32"]'
        )
        raise ConfigError(msg)
    return found, origins


def _combinations(reader: TableReader) -> Iterator[Combination]:
    if matrices := reader.table("matrix"):
        from modelyard.config.matrix import expand  # most projects have none

        yield from expand(matrices, reader.source)


def _combination(reader: TableReader, one: Combination, origins: Mapping[str, tuple[str, ...]]) -> tuple[Use, ...]:
    """Return the chain of a variant that a matrix makes; `origins` has those that there are already."""
    where = reader.where("matrix", one.matrix)
    check_name("variant", one.variant, where)
    if one.variant in origins:
        other = f"[tool.modelyard.{'.'.join(origins[one.variant])}]"
        msg = f"{where}: the variant {one.variant!r} is in {other}, too\n  give the matrix another name"
        raise ConfigError(msg)
    try:
        return tuple(reader.step(step, where.at("chain", n)) for n, step in enumerate(one.steps))
    except ConfigError as exc:
        msg = f"{exc}\n  {one.note}"
        raise ConfigError(msg) from exc
