"""What is measured of each variant, and the gates that bound it: the tables `metrics`, `evaluate` and `gates`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modelyard.component import Component, Use, check_values
from modelyard.config.config import quantities
from modelyard.config.table_reader import TableReader
from modelyard.config.tables import (
    CrossValidation,
    Evaluate,
    gate_parameters,
    parameters_of_table,
)
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.metrics import Quantity
from modelyard.metrics.gating import gates_of
from modelyard.metrics.registered import quantities_of
from modelyard.metrics.sliced import on_sets, sliced, split_of
from modelyard.metrics.standard import STANDARD
from modelyard.toml.places import KeyPlace


def read_metric(reader: TableReader, name: str, task: Component) -> Use:
    """Return a metric of a plugin's; it has a name of its own, by which gates call it.

    Raises:
        ConfigError: the name is not allowed, or taken, or a value is not allowed.
    """
    where, values = reader.where("metrics", name), reader.table("metrics", name)
    taken = [one.name for one in (*quantities_of(task), *STANDARD)]
    if name.replace("-", "_") in taken:
        msg = f"{where}: {name!r} is always measured\n  leave it out, or call the metric something else"
        raise ConfigError(msg)
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", name):
        msg = f"{where}: {name!r} is not allowed as the name of a metric\n  allowed: lower-case letters, digits and dashes"
        raise ConfigError(msg)
    if "use" not in values and name not in (known := reader.plugins.names("metric")):
        msg = (
            f"{where}: unknown metric {name!r}{did_you_mean(name, (*known, *taken))}\n"
            f"  known: {listing(known)}; always measured: {listing(taken)}"
        )
        raise ConfigError(msg)
    return reader.components.take("metric", values.pop("use", name), values, where)


def checked_parts(
    reader: TableReader,
    settings: Evaluate,
    uses: Mapping[str, Use],
    metrics: Mapping[str, Use],
    folds: CrossValidation,
) -> Evaluate:
    """Return what is measured by itself, test sets and columns of the test split: nothing else may be called as they call it.

    Raises:
        ConfigError: one is there twice, or makes names that there are already.
    """
    task = quantities_of(uses["task"].component)
    known = quantities(uses["task"].component, metrics, Evaluate(), folds)
    taken = {*gates_of(known), *(one.name for one in known)}
    for key, names, of, what in (
        ("test_sets", settings.test_sets, on_sets, "test set"),
        ("slices", settings.slices, sliced, "column"),
    ):
        for number, name in enumerate(names):
            _check_set(reader, name, settings.test_sets)
            own = of(task, [name])
            made = {*gates_of(own), *(one.name for one in own)}
            if taken & made:
                why = "is there twice" if name in names[:number] else "makes names that there are already"
                msg = f"{KeyPlace(reader.where('evaluate'), key)}: {name!r} {why}\n  call the {what} of the data set something else"
                raise ConfigError(msg)
            taken |= made
    return settings


def _check_set(reader: TableReader, column: str, test_sets: Sequence[str]) -> None:
    """Check that a column `SET.COLUMN` is of a test set that is measured."""
    split, name = split_of(column)
    if split != "test" and split not in test_sets:
        msg = (
            f"{KeyPlace(reader.where('evaluate'), 'slices')}: {column!r} is the column {name!r} of the test set {split!r}, which is "
            f"not measured{did_you_mean(split, test_sets)}\n  name the set in test_sets, too"
        )
        raise ConfigError(msg)


def read_bounds(reader: TableReader, measured: Sequence[Quantity]) -> dict[str, Any]:
    """Return the gates that bound a metric, whose units are checked now: not only when every variant has been measured.

    Raises:
        ConfigError: a key or a bound is not allowed.
    """
    where, gates = reader.where("gates"), gates_of(measured)
    parameters = gate_parameters(measured) | parameters_of_table("gates")
    values = check_values(parameters, _without_tables(reader, parameters), where)
    for key, gate in gates.items():
        if values[key] is not None:
            gate.parse(values[key], KeyPlace(where, key))
    return values


def _without_tables(reader: TableReader, known: Collection[str]) -> dict[str, Any]:
    """Return what `[tool.modelyard.gates]` holds beside the tables, which are gates of plugins."""
    return {key: v for key, v in reader.table("gates").items() if key in known or not isinstance(v, dict)}


def read_gates(reader: TableReader, measured: Sequence[Quantity]) -> dict[str, Use]:
    """Return the gates of plugins: the tables in `[tool.modelyard.gates]`."""
    bounds = {*gate_parameters(measured), *parameters_of_table("gates")}
    return {name: _gate(reader, name) for name in reader.table("gates") if name not in _without_tables(reader, bounds)}


def _gate(reader: TableReader, name: str) -> Use:
    values = reader.table("gates", name)
    return reader.components.take("gate", values.pop("use", name), values, reader.where("gates", name))
