"""The tables below `[tool.modelyard]`, one at a time: each key checked, each component taken that they choose."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.component import Use, check_values, kind_name
from modelyard.config.keys import default_components
from modelyard.config.scalar import scalar
from modelyard.config.tables import (
    OPTIONAL,
    USING,
    parameters_of_table,
)
from modelyard.config.uses import Uses
from modelyard.errors import ConfigError, listing
from modelyard.plugins.load import Plugins
from modelyard.toml.places import ConfigSource, Where


class TableReader:
    """Reads the raw tables of one pipeline, or says what is wrong with them.

    Args:
        project: the project's folder.
        plugins: the project's plugins.
        raw: the tables.
        fallback: name and version, where `[tool.modelyard]` says none.
        source: what they were read from.
        look_at_inputs: whether the files that parameters name must be there.
    """

    def __init__(
        self,
        project: Path,
        plugins: Plugins,
        raw: dict[str, Any],
        fallback: dict[str, Any],
        source: ConfigSource,
        *,
        look_at_inputs: bool = True,
    ) -> None:
        self.project, self.plugins, self.raw, self.fallback = project, plugins, raw, fallback
        self.source, self.where = source, source.where
        self.components = Uses(project, plugins, look_at_inputs=look_at_inputs)

    def default_name(self) -> str:
        name = str(self.fallback.get("name", self.project.name)).lower()
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:52].strip("-") or "project"

    def scalar(self, key: str, kind: Any, default: Any) -> Any:
        return scalar(key, self.raw.get(key, default), kind, self.where())

    def table(self, *path: str) -> dict[str, Any]:
        value: Any = self.raw
        for part in path:
            value = value.get(part, {})
            if not isinstance(value, dict):
                msg = f"{self.where(*path)}: {value!r} is not a table\n  write {_as_table(path, value)}"
                raise ConfigError(msg)
        return dict(value)

    def own(self, table: str) -> dict[str, Any]:
        """Modelyard's own keys of `table`; in a table with `use`, the component's keys are left out."""
        parameters = parameters_of_table(table)
        values = self.table(table)
        if table in USING or table in OPTIONAL:
            values = {k: v for k, v in values.items() if k in parameters}
        return check_values(parameters, values, self.where(table))

    def use(self, table: str, checked: Mapping[str, Any] | None = None) -> Use:
        return self.take(table, self.table(table), self.where(table), checked)

    def take(
        self,
        table: str,
        given: Mapping[str, Any],
        where: Where,
        checked: Mapping[str, Any] | None = None,
        more: Sequence[str] = (),
    ) -> Use:
        """The component that the values of `table` choose; `more` are keys that may stand beside."""
        kind, values = {**USING, **OPTIONAL}[table], dict(given)
        name = values.pop("use", default_components(self.plugins).get(table))
        if name is None:
            known = self.plugins.names(kind)
            msg = f"{where}: key 'use' is missing\n  it names the {kind}, one of: {listing(known)}"
            raise ConfigError(msg)
        own = parameters_of_table(table)
        others = {k: v for k, v in values.items() if k not in own}
        return self.components.take(kind, name, others, where, (*own, *more), checked)

    def step(self, step: Any, where: Where, kind: str = "optimizer") -> Use:
        """One link of a chain: a component's name, or a table with `use`."""
        values = {"use": step} if isinstance(step, str) else dict(step) if isinstance(step, dict) else {}
        if "use" not in values:
            msg = (
                f"{where}: {step!r} is not a step\n"
                f'  write a {kind_name(kind)}\'s name, or {{ use = "name", parameter = value }}'
            )
            raise ConfigError(msg)
        name = values.pop("use")
        return self.components.take(kind, name, values, where)


_BY_NAME = (("metrics",), ("targets",))
"""Tables that hold a table for each name."""


def _as_table(path: Sequence[str], value: Any) -> str:
    """Return how one writes the table at `path`, with the name, or the first of the names, that stands there as `value`."""
    table = f"tool.modelyard.{'.'.join(path)}"
    first = value[0] if isinstance(value, list) and value else value
    if not isinstance(first, str):
        return f"[{table}]"
    if path[0] in {**USING, **OPTIONAL}:
        return f'[{table}] use = "{first}"'
    return f"[{table}.{first}]" if path in _BY_NAME else f"[{table}]"
