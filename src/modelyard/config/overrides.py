"""What the command line lays over the configuration: `doit train.epochs=3`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelyard.config.keys import default_components, keys_of
from modelyard.config.outputs import are_several
from modelyard.config.tables import (
    CROSS_VALIDATION,
    IMAGES,
    OPTIONAL,
    PIPELINES,
    SCALARS,
    TRAININGS,
    USING,
    parameters_of_table,
)
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.metrics.gating import gates_of
from modelyard.metrics.registered import quantities_of
from modelyard.metrics.several import task_of
from modelyard.metrics.sliced import on_sets, over_folds, sliced
from modelyard.metrics.standard import STANDARD

if TYPE_CHECKING:
    from modelyard.metrics import Quantity
    from modelyard.plugins.load import Plugins


_NAMED = {TRAININGS: "training", PIPELINES: "pipeline", IMAGES: "image"}
"""Tables of tables, and what each of these is."""


def override(raw: dict[str, Any], values: Mapping[str, str], plugins: Plugins) -> None:
    """Lay `values` over `raw`.

    Args:
        raw: `[tool.modelyard]`, changed in place.
        values: dotted key -> value in TOML, or else text: `{"train.epochs": "3"}`. A table's name with an inline
            table replaces the whole table: `{"dataset": '{ use = "digits" }'}`.
        plugins: they say what keys there are besides, for the messages.

    Raises:
        ConfigError: there is no such table, or a part of a key is none.
    """
    for key, value in values.items():
        _override(raw, key, value, plugins)


def _override(raw: dict[str, Any], key: str, value: str, plugins: Plugins) -> None:
    keys = keys_of(plugins)
    first, *rest = key.split(".")
    given = parse_override(value)
    is_table = first in keys and not rest and isinstance(given, dict)  # as a whole: nothing of the file's stays
    if first not in keys or ((first in SCALARS) != (not rest) and not is_table) or "" in rest:
        known = [f"{table}.{k}" for table in keys for k in _keys_of(table, raw, plugins)] + [*SCALARS, "profile"]
        msg = (
            f"command line: unknown key {key!r}{_did_you_mean(key, known)}\n"
            f"  write TABLE.KEY=VALUE, for instance train.epochs=3; tables: {listing(keys)}"
        )
        raise ConfigError(msg)
    _check_named(key, raw)
    table = raw
    for part in (first, *rest)[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            msg = f"command line: {key!r}: {part!r} is not a table"
            raise ConfigError(msg)
    table[(first, *rest)[-1]] = given


def _check_named(key: str, raw: Mapping[str, Any]) -> None:
    """Refuse a key of a training or pipeline that there is not: a name that is misspelt would make one more."""
    table, _, rest = key.partition(".")
    name, *more = rest.split(".")
    known, what = raw.get(table), _NAMED.get(table)
    if what and more and isinstance(known, dict) and name not in known:
        msg = f"command line: {key!r}: there is no {what} {name!r}{did_you_mean(name, known)}\n  {what}s: {listing(known)}"
        raise ConfigError(msg)


def parse_override(value: str) -> Any:
    """Return the value of an override: TOML if it is, else the text itself (`rule=smallest` needs no quotes)."""
    try:
        return tomllib.loads(f"v = {value}")["v"]
    except (ValueError, RecursionError):
        return value


def inline_toml(value: Any) -> str:
    """Return `value` as TOML on one line: what `parse_override` reads."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {inline_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline_toml, value))}]"
    return json.dumps(value)


def _keys_of(table: str, raw: dict[str, Any], plugins: Plugins) -> list[str]:
    values = raw[table] if isinstance(raw.get(table), dict) else {}
    kind, default = {**USING, **OPTIONAL}.get(table, "kind"), default_components(plugins).get(table, table)
    component = plugins.components.get((kind, str(values.get("use", default))))
    own = [*parameters_of_table(table), *(_gates(raw, plugins) if table == "gates" else ())]
    return [*own, *values, *(component.parameters if component else ())]


def _gates(raw: dict[str, Any], plugins: Plugins) -> list[str]:
    """Return the gates on what the project's task and every evaluation measure."""
    values = raw["task"] if isinstance(raw.get("task"), dict) else {}
    known = _measured(values, plugins)
    evaluate = raw["evaluate"] if isinstance(raw.get("evaluate"), dict) else {}
    sets, columns = (_texts(evaluate.get(key)) for key in ("test_sets", "slices"))
    folds = over_folds(known) if CROSS_VALIDATION in raw else ()
    return [*gates_of((*known, *on_sets(known, sets), *sliced(known, columns), *folds, *STANDARD))]


def _measured(values: Mapping[str, Any], plugins: Plugins) -> tuple[Quantity, ...]:
    """Return what the task measures that the table `task` names; of several outputs, all of theirs."""
    several = values["outputs"] if are_several(values) and isinstance(values["outputs"], dict) else {"": values}
    named = {
        name: own.get("use", default_components(plugins)["task"])
        for name, own in several.items()
        if isinstance(own, dict)
    }
    found = {name: one for name, use in named.items() if (one := plugins.components.get(("task", str(use))))}
    if not found:
        return ()
    return quantities_of(found[""] if "" in found else task_of(found))


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _did_you_mean(key: str, known: list[str]) -> str:
    """Return `, did you mean 'train.epochs'?` for `epochs`, else the nearest full key."""
    ends = [k for k in known if k.rpartition(".")[2] == key.rpartition(".")[2]]
    return f", did you mean {ends[0]!r}?" if ends else did_you_mean(key, known)
