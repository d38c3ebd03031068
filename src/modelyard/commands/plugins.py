"""`doit plugins`: what is installed and where it comes from; `doit plugins NAME`: what a component takes."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from doit.cmd_base import Command
from doit.exceptions import InvalidCommand

from modelyard.component import REQUIRED, Component, Parameter
from modelyard.errors import ModelyardError, did_you_mean, listing
from modelyard.plugins import load_plugins
from modelyard.plugins import Plugins as Registry
from modelyard.settings import parameters_of_table

_TABLES = {"dataset": "dataset", "builder": "image"}
"""The kinds whose table in the configuration holds keys of modelyard's own, too."""


class Plugins(Command):  # type: ignore[misc]
    """The command `plugins`."""

    name = "plugins"
    doc_purpose = "list the components, or explain one"
    doc_usage = "[NAME ...]"
    doc_description = "Lists every component with its kind, version and origin. With NAME: its parameters, types, defaults and documentation."

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:  # noqa: ARG002 - doit's interface
        """Print the list, or the explanation of each of `pos_args`."""
        try:
            registry = load_plugins(_project_folder())
        except ModelyardError as exc:
            raise InvalidCommand(str(exc)) from None
        text = "\n\n".join(explain(registry, name) for name in pos_args) if pos_args else table(registry)
        print(text)  # noqa: T201 - this is the command's answer
        return 0


def _project_folder() -> Path:
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "dodo.py").is_file()), here)


def table(registry: Registry) -> str:
    """Return every component as a line: kind, name, version, where from, what it does; then what is shadowed."""
    rows = [("KIND", "NAME", "FROM", "SUMMARY")]
    rows += [(c.kind, c.name, _origin(c), c.summary) for c in registry.components.values()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join((*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3])) for row in rows]
    lines += [
        f"shadowed: {far.kind} {far.name} of {_origin(far)} ({far.source.file}), by {near.source.file}"
        for far, near in registry.shadowed
    ]
    return "\n".join(lines)


def _origin(component: Component) -> str:
    source = component.source
    if source.origin == "built-in":
        from modelyard.fingerprint import tool_version

        return f"modelyard {tool_version('modelyard')}"
    return source.distribution or source.name


def explain(registry: Registry, name: str) -> str:
    """Return what the components called `name` do and take.

    Raises:
        InvalidCommand: there is none.
    """
    found = [c for (_, n), c in registry.components.items() if n == name]
    if not found:
        known = {n for _, n in registry.components}
        msg = f"plugins: there is no component {name!r}{did_you_mean(name, known)}\n  known: {listing(known)}"
        raise InvalidCommand(msg)
    return "\n\n".join(_explain(component) for component in found)


def _explain(component: Component) -> str:
    doc = (inspect.getdoc(component.function) or "(no documentation)").partition("\nArgs:")[0].strip()
    formats = ""
    if component.accepts or component.produces:
        takes = " or ".join(component.accepts) or "a data set"
        formats = f"\n  takes {takes}" + (f", gives {component.produces}" if component.produces else "")
    own = parameters_of_table(_TABLES.get(component.kind, ""))
    lines = [_parameter(p) for p in (*component.parameters.values(), *own.values())]
    parameters = "\n".join(lines) or "  (no parameters)"
    return f"{component.kind} {component.name}  ({_origin(component)}, {component.file}){formats}\n\n{doc}\n\nParameters:\n{parameters}"


def _parameter(parameter: Parameter) -> str:
    default = "required" if parameter.default is REQUIRED else f"default {parameter.default!r}"
    text = f"  {parameter.name}: {parameter.type_name}; {default}"
    return f"{text}\n      {parameter.doc}" if parameter.doc else text
