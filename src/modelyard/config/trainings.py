"""`[tool.modelyard.trainings.NAME]`: several trainings in one project, each laid over the tables `model` and `train`.

    [tool.modelyard.trainings.small]
    model = { filters = 8 }

    [tool.modelyard.trainings.wide]
    model = { filters = 32 }
    matrix = { train.learning_rate = [0.01, 0.001], seed = [0, 1, 2] }

are the trainings `small`, `wide.learning-rate-0.01.seed-0`, `wide.learning-rate-0.01.seed-1` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from modelyard.config.axes import Path, axes_of, leaves, nested
from modelyard.config.grid import MOST, combinations, same, too_many
from modelyard.config.profiles import lay_over, names_another
from modelyard.config.tables import TRAINED
from modelyard.config.tables import TRAININGS as TABLE
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.toml.places import ConfigSource, Where

if TYPE_CHECKING:
    from modelyard.plugins.load import Plugins

_SET = (*TRAINED, "seed")
_OWN = (*_SET, "variants", "matrix", "exclude")
_SEED = ("seed",)
"""The axis whose trainings are one and the same, but for chance: the table has their mean, too."""


class LaidWhere(Where, frozen=True, kw_only=True):
    """The place of a table that is laid over another: keys of its own stand there, others below.

    Attributes:
        below: the place of the table below.
        own: where the keys that this one sets stand.
    """

    below: Where
    own: Mapping[str, Where]

    def at(self, *path: str | int) -> Where:
        """Return the place of a key or element: of its own, or of the table below."""
        first, *more = path
        return self.own[str(first)].at(*more) if first in self.own else self.below.at(*path)


class LaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """One training as its tables say it, not checked yet.

    Attributes:
        name: the training's name.
        table: the key of `[tool.modelyard.trainings]` that it comes from.
        over_seeds: its name without its seed, if others have nothing but another one; else empty.
        tables: `model`, `train` and `seed`, where they are given.
        where: the place of each of `model`, `train` and `seed`.
        values: the value of each axis, by its key.
        own: what the training's own table sets, whatever stands below.
    """

    name: str
    table: str
    over_seeds: str
    tables: dict[str, Any]
    where: dict[str, Where]
    values: dict[str, Any]
    own: frozenset[str]

    @property
    def note(self) -> str:
        """The training and its values, for the last line of a message."""
        values = ", ".join(f"{key} = {value!r}" for key, value in self.values.items())
        return f"in the training {self.name!r}" + (f": {values}" if values else "")


def lay_out(
    raw: Mapping[str, Any], source: ConfigSource, defaults: Mapping[str, str], plugins: Plugins
) -> Iterator[LaidOut]:
    """Yield the trainings of `[tool.modelyard.trainings]`, in order; the last axis changes fastest.

    Args:
        raw: `[tool.modelyard]`.
        source: what it was read from.
        defaults: the component of a table that does not say `use`.
        plugins: what the command line may name.

    Raises:
        ConfigError: a training is no table or has an unknown key, an axis is not one, the command line sets what is an
            axis, two trainings have one name, or there are too many.
    """
    names: set[str] = set()
    for name, table in raw[TABLE].items():
        for one in _Family(name, table, raw, source, defaults, plugins).trainings():
            if one.name in names:
                msg = f"{source.where(TABLE, name)}: two trainings are called {one.name!r}\n  give one another name"
                raise ConfigError(msg)
            names.add(one.name)
            yield one
    if len(names) > MOST:
        msg = f"{source.where(TABLE)}: {len(names):,} trainings are more than {MOST}\n  use fewer values, or take turns"
        raise ConfigError(msg)


class _Family:
    """The trainings of one table: one, or one for each combination of its axes' values."""

    def __init__(
        self,
        name: str,
        table: Any,
        raw: Mapping[str, Any],
        source: ConfigSource,
        defaults: Mapping[str, str],
        plugins: Plugins,
    ) -> None:
        self.name, self.raw, self.source, self.defaults, self.plugins = name, raw, source, defaults, plugins
        self.where = source.where(TABLE, name)
        if not isinstance(table, dict):
            self.fail(f"{table!r} is not a table", f"write [tool.modelyard.{TABLE}.{name}]")
        self.table: dict[str, Any] = table
        self.check_keys()
        self.axes = axes_of(table.get("matrix", {}), self.where.at("matrix"))
        self.check_axes()
        self.excluded = self.checked_exclude()

    def fail(self, what: str, hint: str, *path: str) -> NoReturn:
        """Raise an error about the table, or a key of it."""
        msg = f"{self.where.at(*path) if path else self.where}: {what}\n  {hint}"
        raise ConfigError(msg)

    def check_keys(self) -> None:
        for key, value in self.table.items():
            if key not in _OWN:
                self.fail(f"unknown key {key!r}{did_you_mean(key, _OWN)}", f"allowed: {listing(_OWN)}", key)
            if key in (*TRAINED, "matrix") and not isinstance(value, dict):
                self.fail(f"key {key!r}: {value!r} is not a table", f"write {key} = {{ ... }}", key)

    def check_axes(self) -> None:
        given = dict(leaves({key: self.table[key] for key in _SET if key in self.table}))
        for axis in self.axes:
            first, *more = axis.path
            if first not in _SET or bool(more) != (first in TRAINED):
                hint = "allowed: seed, and keys of the tables train and model, for instance train.epochs = [5, 10]"
                self.fail(f"axis {axis.key!r} is no key of a training", hint, "matrix", *axis.path)
            if axis.path in given:
                self.fail(f"{axis.key!r} has a value, and is an axis, too", "remove one of them", *axis.path)
            for key in self.source.overrides:
                parts = tuple(key.split("."))
                if first in TRAINED and parts == axis.path[: len(parts)]:
                    other = f"{TABLE}.{self.name}.matrix.{axis.key}=[...]"
                    msg = f"command line: {key!r} is an axis of the training {self.name!r}\n  write {other}"
                    raise ConfigError(msg)

    def checked_exclude(self) -> list[dict[Path, Any]]:
        entries = self.table.get("exclude", [])
        if not isinstance(entries, list) or not all(isinstance(one, dict) and one for one in entries):
            hint = "write a list of tables of axes, for instance exclude = [{ seed = 0, train.epochs = 5 }]"
            self.fail(f"key 'exclude': {entries!r} is not allowed", hint, "exclude")
        found = [dict(leaves(one)) for one in entries]
        for path, value in ((path, value) for one in found for path, value in one.items()):
            axis = next((one for one in self.axes if one.path == path), None)
            if axis is None:
                known = [one.key for one in self.axes]
                near = did_you_mean(".".join(path), known)
                self.fail(f"exclude: there is no axis {'.'.join(path)!r}{near}", f"axes: {listing(known)}", "exclude")
            if not any(same(value, one) for one in axis.values.values()):
                values = ", ".join(map(repr, axis.values.values()))
                self.fail(
                    f"exclude: {value!r} is no value of the axis {axis.key!r}", f"its values: {values}", "exclude"
                )
        return found

    def trainings(self) -> Iterator[LaidOut]:
        if many := too_many({axis.key: axis.values for axis in self.axes}):
            self.fail(f"{many} trainings, more than {MOST}", "use fewer values, or split it", "matrix")
        none = True
        for texts, values in combinations({axis.path: axis.values for axis in self.axes}, self.excluded):
            none = False
            yield self.training(texts, values)
        if none:
            self.fail("key 'exclude' leaves no training", "take an entry out of it", "exclude")

    def training(self, texts: Sequence[str], values: Mapping[Path, Any]) -> LaidOut:
        own = lay_over({key: self.table[key] for key in _SET if key in self.table}, nested(values), self.defaults)
        base = {key: self.raw[key] for key in _SET if key in self.raw}
        tables = lay_over(base, own, self.defaults)
        given = self.overridden(tables, own)
        parts = {axis.path: f"{axis.label}-{text}" for axis, text in zip(self.axes, texts, strict=True)}
        is_repeated = any(axis.path == _SEED and len(axis.values) > 1 for axis in self.axes)
        return LaidOut(
            name=".".join((self.name, *parts.values())),
            table=self.name,
            over_seeds=".".join((self.name, *(p for path, p in parts.items() if path != _SEED))) if is_repeated else "",
            tables=tables,
            where={key: self.place(key, own, values, given) for key in _SET},
            values={axis.key: values[axis.path] for axis in self.axes},
            own=frozenset(own),
        )

    def overridden(self, tables: dict[str, Any], own: Mapping[str, Any]) -> list[Path]:
        """Lay over `tables` what the command line sets of every training, and return the keys.

        What it sets of the table below means nothing to a training that has another component.
        """
        same = [
            key
            for key in TRAINED
            if not names_another(own.get(key, {}), self.raw.get(key, {}), self.defaults.get(key, key))
        ]
        values = {key: text for key, text in self.source.overrides.items() if key.partition(".")[0] in same}
        if values:
            from modelyard.config.overrides import override  # most builds have none

            override(tables, values, self.plugins)
        return [tuple(key.split(".")) for key in values]

    def place(self, key: str, own: Mapping[str, Any], values: Mapping[Path, Any], given: list[Path]) -> Where:
        """Return the place of `model`, `train` or `seed`: the training's own for what it sets, else that of the table below."""
        if key not in TRAINED:
            own_place = self.where.at("matrix") if (key,) in values else self.where
            return own_place if key in own else self.source.where()
        mine = {one: self.where.at(key, one) for one in own.get(key, {})}
        mine |= {path[1]: self.where.at("matrix", *path) for path in values if path[0] == key}
        for path in given:
            if path[0] == key and len(path) > 1:
                mine.pop(path[1], None)
        below = self.source.where(key)
        return LaidWhere(self.source, (TABLE, self.name), (key,), below=below, own=mine) if mine else below
