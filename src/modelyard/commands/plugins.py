"""`doit plugins`: what is installed and where it comes from; `doit plugins NAME`: what a component takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.commands.base import ModelyardCommand, print_json
from modelyard.component import REQUIRED, Component, Parameter
from modelyard.config.tables import parameters_of_table
from modelyard.errors import PluginError, did_you_mean, listing
from modelyard.plugins.load import Plugins as Registry
from modelyard.plugins.load import load_plugins
from modelyard.plugins.project_function import ProjectFunction
from modelyard.project.load import load

if TYPE_CHECKING:
    from pathlib import Path


_TABLES = {"dataset": "dataset", "builder": "image", "source": "events"}
"""The kinds whose table in the configuration holds keys of modelyard's own, too."""


class Plugins(ModelyardCommand):
    """The command `plugins`."""

    name = "plugins"
    doc_purpose = "list the components, or explain one"
    doc_usage = "[NAME ...]"
    doc_description = (
        "Lists every component with its kind, version and origin. "
        "With NAME: its parameters, types, defaults and documentation."
    )

    def run(self, options: Any, names: list[str]) -> int:
        """Print the list, or the explanation of each of `names`."""
        folder = self.folder(options)
        registry = load_plugins(folder)
        if any(":" in name for name in names):
            registry.components.update(_project_functions(folder))
        if options["json"]:
            chosen = [c for name in names for c in _called(registry, name)] if names else registry.components.values()
            shadowed = {id(far): near.source.file for far, near in registry.shadowed}
            print_json([_facts(c, shadowed) for c in (*chosen, *(far for far, _ in registry.shadowed if not names))])
        else:
            print("\n\n".join(explain(registry, name) for name in names) if names else table(registry))
        return 0


def _project_functions(folder: Path) -> dict[tuple[str, str], Component]:
    """Return the components that the project names as `module:function`, by kind and name."""
    used = (use.component for config in load(folder).config.pipelines for use in config.every_use)
    return {(one.kind, one.name): one for one in used if isinstance(one, ProjectFunction)}


def _facts(component: Component, shadowed: dict[int, Any]) -> dict[str, Any]:
    by = shadowed.get(id(component))
    return {
        "kind": component.kind,
        "name": component.name,
        "from": _origin(component),
        "file": str(component.file),
        "summary": component.summary,
        "accepts": component.accepts,
        "produces": component.produces,
        "losses": component.trained_losses if component.trains else component.losses,
        "shadowed_by": str(by) if by else None,
        "parameters": [_parameter_facts(p) for p in component.parameters.values()],
        "serving_only": component.serving_only,
        "deploy_only": component.deploy_only,
    }


def _parameter_facts(parameter: Parameter) -> dict[str, Any]:
    required = parameter.default is REQUIRED
    facts = {"name": parameter.name, "type": parameter.type_name, "required": required, "doc": parameter.doc}
    return facts if required else {**facts, "default": parameter.default}


_ALONE = ("; the server alone, not evaluate", "; deploy alone, not render")


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
        from modelyard.code.versions import tool_version

        return f"modelyard {tool_version('modelyard')}"
    return source.distribution or source.name


def explain(registry: Registry, name: str) -> str:
    """Return what the components called `name` do and take.

    Raises:
        PluginError: there is none.
    """
    return "\n\n".join(_explain(component) for component in _called(registry, name))


def _called(registry: Registry, name: str) -> list[Component]:
    found = [c for (_, n), c in registry.components.items() if n == name]
    if not found:
        known = {n for _, n in registry.components}
        msg = f"plugins: there is no component {name!r}{did_you_mean(name, known)}\n  known: {listing(known)}"
        raise PluginError(msg)
    return found


def _explain(component: Component) -> str:
    doc = (component.documentation or "(no documentation)").partition("\nArgs:")[0].strip()
    formats = ""
    if component.accepts or component.produces or component.produces_by:
        takes = " or ".join(component.accepts) or "a data set"
        gives = component.produces or ("what its parameters say" if component.produces_by else "")
        formats = f"\n  takes {takes}" + (f", gives {gives}" if gives else "")
    if component.trains:
        formats += f"\n  trains with the loss {' or '.join(component.trained_losses)}"
    elif component.losses:
        formats += f"\n  measures tasks with the loss {' or '.join(component.losses)}"
    own = parameters_of_table(_TABLES.get(component.kind, ""))
    lines = [
        _parameter(p, _ALONE[0] if p.name in component.serving_only else _ALONE[1] * (p.name in component.deploy_only))
        for p in (*component.parameters.values(), *own.values())
    ]
    parameters = "\n".join(lines) or "  (no parameters)"
    head = f"{component.kind} {component.name}  ({_origin(component)}, {component.file}){formats}"
    return f"{head}\n\n{doc}\n\nParameters:\n{parameters}"


def _parameter(parameter: Parameter, note: str) -> str:
    default = "required" if parameter.default is REQUIRED else f"default {parameter.default!r}"
    text = f"  {parameter.name}: {parameter.type_name}; {default}{note}"
    return f"{text}\n      {parameter.doc}" if parameter.doc else text
