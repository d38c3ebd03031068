"""`[tool.modelyard.matrix.NAME]`: many variants from one table, one for each combination of its axes' values.

    [tool.modelyard.matrix.pruned]
    sparsity = [0.5, 0.7, 0.8]
    quantization = ["float32", "int8"]
    chain = [{ use = "prune", sparsity = "{sparsity}" }, "{quantization}"]

makes the variants `pruned-0.5-float32`, `pruned-0.5-int8`, `pruned-0.7-float32` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, NoReturn

import msgspec

from modelyard.config.grid import MOST, as_toml, combinations, named_values, same, too_many
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.toml.places import ConfigSource, Where

_OWN = ("chain", "exclude")
_AXIS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Combination(msgspec.Struct, frozen=True):
    """One variant of a matrix.

    Attributes:
        matrix: the matrix's name.
        variant: the variant's name: the matrix's, and the value of each axis.
        values: the value of each axis.
        steps: its chain of model optimizers, as `[tool.modelyard.variants]` would hold it.
    """

    matrix: str
    variant: str
    values: dict[str, Any]
    steps: list[Any]

    @property
    def note(self) -> str:
        """The variant and its values, for the last line of a message."""
        return f"in the variant {self.variant!r}: {_assignments(self.values)}"


def expand(matrices: Mapping[str, Any], source: ConfigSource) -> Iterator[Combination]:
    """Yield the variants of every matrix, in the order of the values; the last axis changes fastest.

    Args:
        matrices: each matrix by name.
        source: what they were read from, for messages.

    Raises:
        ConfigError: a matrix is no table, has no chain or no axis; an axis is empty, is never used, is unknown, holds
            a value twice or one that is no scalar; there are too many combinations, two have one name, or none is left.
    """
    for name, table in matrices.items():
        where = source.where("matrix", name)
        if not isinstance(table, dict):
            msg = f"{where}: {table!r} is not a table\n  write [tool.modelyard.matrix.{name}]"
            raise ConfigError(msg)
        yield from _Matrix(name, table, where).combinations()


def _assignments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis} = {value!r}" for axis, value in values.items())


class _Matrix:
    """One table, checked as a whole before it is expanded."""

    def __init__(self, name: str, table: Mapping[str, Any], where: Where) -> None:
        self.name, self.where, self.table = name, where, table
        self.axes = {axis: self.axis(axis, values) for axis, values in table.items() if axis not in _OWN}
        self.chain = self.checked_chain()
        self.excluded = self.checked_exclude()

    def fail(self, what: str, hint: str, key: str = "") -> NoReturn:
        """Raise an error about the matrix, or a key of it."""
        where = self.where.at(key) if key else self.where
        msg = f"{where}: {what}\n  {hint}"
        raise ConfigError(msg)

    def combinations(self) -> Iterator[Combination]:
        if many := too_many(self.axes):
            self.fail(f"{many} variants, more than {MOST}", "use fewer values, or split the matrix")
        made: dict[str, dict[str, Any]] = {}
        for texts, values in combinations(self.axes, self.excluded):
            variant = "-".join((self.name, *texts))
            if variant in made:
                both = f"{_assignments(made[variant])} and {_assignments(values)}"
                self.fail(
                    f"{both} give the same name, {variant!r}",
                    "use values that stay apart when they are joined by dashes",
                )
            made[variant] = values
            yield Combination(self.name, variant, values, [self.fill(step, values) for step in self.chain])
        if not made:
            self.fail("key 'exclude' leaves no variant", "take an entry out of it", "exclude")

    def axis(self, axis: str, values: Any) -> dict[str, Any]:
        """Return the values of an axis by what they are called in a variant's name."""
        if not _AXIS.fullmatch(axis):
            self.fail(
                f"axis {axis!r} is not allowed as a name", "allowed: letters, digits, dashes and underscores", axis
            )
        return named_values(axis, values, self.where.at(axis), of="variant")

    def checked_chain(self) -> list[Any]:
        chain = self.table.get("chain")
        example = 'for instance chain = [{ use = "prune", sparsity = "{sparsity}" }, "int8"]'
        if "chain" not in self.table:
            self.fail("key 'chain' is missing", f"write a chain of model optimizers, {example}")
        if not isinstance(chain, list):
            self.fail(f"key 'chain': {chain!r} is not a list", f"write a chain of model optimizers, {example}", "chain")
        if not self.axes:
            self.fail("there is no axis", f"write one, for instance sparsity = [0.5, 0.7], and use it: {example}")
        used = {axis for text in _texts(chain) for _, axis in self.parts(text) if axis is not None}
        for axis in self.axes:
            if axis not in used:
                hint = f'write "{{{axis}}}" where its values belong, or leave the axis out'
                self.fail(f"axis {axis!r} is never used in the chain", hint, axis)
        return chain

    def checked_exclude(self) -> list[dict[str, Any]]:
        entries = self.table.get("exclude", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry for entry in entries):
            axis, values = next(iter(self.axes.items()))
            hint = f"write a list of tables, for instance exclude = [{{ {axis} = {as_toml(next(iter(values.values())))} }}]"
            self.fail(f"key 'exclude': {entries!r} is not allowed", hint, "exclude")
        for entry in entries:
            for axis, value in entry.items():
                self.known_axis(axis, "exclude", f"exclude = {entry!r}")
                if not any(same(value, known) for known in self.axes[axis].values()):
                    known = ", ".join(map(repr, self.axes[axis].values()))
                    self.fail(
                        f"key 'exclude': {value!r} is no value of the axis {axis!r}", f"its values: {known}", "exclude"
                    )
        return entries

    def known_axis(self, axis: str, key: str, place: str) -> None:
        if axis not in self.axes:
            near = did_you_mean(axis, self.axes)
            self.fail(f"{place}: there is no axis {axis!r}{near}", f"axes: {listing(self.axes)}", key)

    def parts(self, text: str) -> list[tuple[str, str | None]]:
        """Return the parts of a text: each a literal, and the axis whose value follows it, or None."""
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as exc:
            hint = "write {axis} for the value of an axis, and {{ or }} for a brace"
            self.fail(f"chain: {text!r} cannot be read: {exc}", hint, "chain")
        for _, axis, form, conversion in parsed:
            if axis is None:
                continue
            self.known_axis(axis, "chain", f"chain: {text!r}")
            if form or conversion:
                self.fail(f"chain: {text!r}: a value stands as it is", f"write {{{axis}}} alone", "chain")
        return [(literal, axis) for literal, axis, _, _ in parsed]

    def fill(self, value: Any, values: Mapping[str, Any]) -> Any:
        """Return a step with the values in it. A text that is one placeholder alone gets the value with its type."""
        if isinstance(value, dict):
            return {key: self.fill(one, values) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one, values) for one in value]
        if not isinstance(value, str):
            return value
        match self.parts(value):
            case [("", str(axis))]:
                return values[axis]
            case parts:
                return "".join(text + ("" if axis is None else str(values[axis])) for text, axis in parts)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
