"""A component as a table chooses it: found by its name, each of its parameters checked, and what their values mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelyard.component import Component, Parameter, Use, check_values
from modelyard.config import checks
from modelyard.config.config import Config
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.plugins.load import Plugins
from modelyard.toml.places import KeyPlace, Where


class Uses:
    """The components that one configuration uses.

    Args:
        project: the project's folder.
        plugins: where they are found.
        look_at_inputs: whether the files that parameters name must be there.
    """

    def __init__(self, project: Path, plugins: Plugins, *, look_at_inputs: bool) -> None:
        self._project, self._plugins, self._look_at_inputs = project, plugins, look_at_inputs
        self._used: list[tuple[Use, Where]] = []

    def take(
        self,
        kind: str,
        name: Any,
        values: Mapping[str, Any],
        where: Where,
        own: Iterable[str] = (),
        checked: Mapping[str, Any] | None = None,
    ) -> Use:
        """Return the component of `kind` called `name`, with `values` for its parameters.

        Args:
            kind: one of `component.KINDS`.
            name: a plugin's component, or `module:function` of the project.
            values: what the table says beside `use`.
            where: the table, for messages.
            own: modelyard's own keys of the table, for messages.
            checked: values of such keys that the component checks beside its own.

        Raises:
            ConfigError: there is no such component, or it does not take one of the values.
        """
        found = self._named(kind, name, where)
        unknown = [key for key in values if key not in found.parameters]
        if unknown:
            everything = {"use", *found.parameters, *own}
            msg = (
                f"{where.at(unknown[0])}: unknown key {unknown[0]!r}{did_you_mean(unknown[0], everything)}\n"
                f"  the {kind} {name!r} takes: {listing(found.parameters)}; run `doit plugins {name}`"
            )
            raise ConfigError(msg)
        use = Use(found, self._params(found, values, where))
        self._used.append((Use(found, {**(checked or {}), **use.params}), where))
        self._check_scripts(use, where)
        return use

    def _named(self, kind: str, name: Any, where: Where) -> Component:
        if not isinstance(name, str):
            msg = f"{where.at('use')}: key 'use': {name!r} is not the name of a {kind}"
            raise ConfigError(msg)
        if ":" not in name:
            return self._plugins.get(kind, name, where.at("use"))
        from modelyard.plugins.project_function import project_function

        return project_function(kind, self._project, name, where.at("use"))

    def _params(self, component: Component, values: Mapping[str, Any], where: Where) -> dict[str, Any]:
        params = check_values(component.parameters, values, where)
        for key, parameter in component.parameters.items():
            if parameter.is_input and params[key] is not None:
                params[key] = self._input_path(params[key], parameter, where)
            elif (arguments := parameter.names_function) is not None and params[key] and self._look_at_inputs:
                from modelyard.plugins.named_function import check_function  # most projects name none

                check_function(self._project, params[key], arguments, KeyPlace(where, key))
        return params

    def _check_scripts(self, use: Use, where: Where) -> None:
        for script in use.scripts if self._look_at_inputs else ():
            path = self._project / script
            if path.is_file() and path.resolve().is_relative_to(self._project):
                continue
            near = [one.name for one in path.parent.glob("*.py")]
            component = use.component
            msg = (
                f"{where}: the {component.kind} {component.name!r} runs {script!r}, which is no file of the project"
                f"{did_you_mean(path.name, near)}\n  write it, or name another, relative to {self._project}"
            )
            raise ConfigError(msg)

    def _input_path(self, value: str, parameter: Parameter, where: Where) -> str:
        place = KeyPlace(where, parameter.name)
        try:
            path = self._project / Path(value).expanduser()
            near = None if not self._look_at_inputs or path.exists() else [p.name for p in path.parent.glob("*")]
        except (OSError, RuntimeError, ValueError) as exc:  # a name that is too long, an unknown ~user, a null byte
            msg = f"{place}: {value!r} is not a path: {exc}"
            raise ConfigError(msg) from exc
        if near is not None:
            msg = f"{place}: there is no {value!r}{did_you_mean(path.name, near)}\n  {parameter.doc or path}"
            raise ConfigError(msg)
        return os.path.normpath(path)

    def check_meaning(self, config: Config) -> None:
        """Let each component check what the values of its parameters mean; all that is wrong is told at once."""
        context = checks.surroundings(config)
        found: dict[str, None] = {}
        for use, where in self._used:
            if config.packed_in and use.component.kind == "builder":
                continue  # none is made of this model alone: what builds is said of the image that it is in
            for problem in checks.problems(use.component, use.params, context):
                own = problem.key in checks.OWN and problem.key not in use.params
                value = checks.value_of(problem, use.component, use.params, context)
                found[checks.told(problem, value, config.source.where() if own else where)] = None
        if found:
            raise ConfigError("\n".join(found))
