"""A component that lives in the project's own code, named `module:function`, read without importing it.

Such a module imports a framework at its top; the `doit` process must not. So the parameters, the traits and the
documentation come from the syntax tree, and the module is imported only in the worker.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from modelyard import params
from modelyard.code.syntax import parse
from modelyard.component import REQUIRED, Component, Parameter, Source, argument_docs, called_with
from modelyard.errors import PluginError, did_you_mean, listing
from modelyard.plugins.named_function import check_arguments, last_name, module_and_function, module_file, no_function
from modelyard.plugins.register import PLACED, checked_traits
from modelyard.toml.places import Place

_NAMES: dict[str, Any] = {
    **{n: getattr(builtins, n) for n in ("int", "float", "str", "bool", "list", "dict", "tuple")},
    **{n: getattr(typing, n) for n in ("Literal", "Optional", "Any", "Annotated")},
    **{n: v for n, v in vars(params).items() if not n.startswith("_")},
    "params": params,
    "typing": typing,
    "__builtins__": {},
}
_SAID_ELSEWHERE = {"model": ("produces",), "handler": ("package",)}
"""What such a component need not say: the trainer says what it trains, and of the project's own code what is imported ships."""
_LIGHT = ("modelyard", "modelyard_plugins")
"""The packages whose modules may be imported here to read common traits."""


class ProjectFunction(Component, frozen=True, dict=True):
    """A component whose function is in a module of the project."""

    path: Path = Path()
    signature: dict[str, Parameter] = msgspec.field(default_factory=dict)
    docstring: str = ""

    @property
    def documentation(self) -> str:
        """The function's docstring, read from the syntax tree."""
        return self.docstring

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The keyword-only parameters, read from the syntax tree."""
        return self.signature

    @property
    def file(self) -> Path:
        """The module's file."""
        return self.path

    def bring(self) -> None:
        """Import the module."""
        importlib.import_module(self.source.name)


def project_function(kind: str, project: Path, reference: str, where: Place) -> ProjectFunction:
    """Return the component for `reference`, `module:function` in the project.

    Raises:
        ConfigError: there is no such module or function, or the function takes another number of arguments.
        PluginError: the module has a syntax error, a default that is not a literal, or traits that the kind cannot have.
    """
    module, name = module_and_function(reference, where)
    path = module_file(project, module, where)
    tree = parse(path)
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    if name not in functions:
        raise no_function(name, path, list(functions), where)
    function, source = functions[name], Source(module, "project", path)
    check_arguments(function, called_with(kind), path, where, "if {!r} is configuration, put a `*` before it")
    traits = _traits(kind, function, tree, path)
    return ProjectFunction(
        kind,
        reference,
        _importer(module, name),
        source,
        path=path,
        signature=_signature(function, path),
        docstring=ast.get_docstring(function) or "",
        **traits,
    )


def _signature(function: ast.FunctionDef, path: Path) -> dict[str, Parameter]:
    docs = functools.partial(argument_docs, ast.get_docstring(function) or "")
    arguments = function.args
    return {
        a.arg: Parameter(a.arg, _annotation(a), _default(d, a, path), docs)
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }


def _traits(kind: str, function: ast.FunctionDef, tree: ast.Module, path: Path) -> dict[str, Any]:
    """Return what `@traits(...)` above the function says."""
    calls = [one for one in function.decorator_list if isinstance(one, ast.Call) and last_name(one) == "traits"]
    said: dict[str, Any] = {}
    for keyword in (keyword for call in calls for keyword in call.keywords):
        where = f"{path}:{keyword.value.lineno}: @traits"
        if keyword.arg is None:
            said |= _unpacked(keyword.value, tree, where)
        else:
            said[keyword.arg] = _literal(keyword.value, f"{where}: {keyword.arg!r}")
    optional, where = _SAID_ELSEWHERE.get(kind, ()), f"{path}:{function.lineno}: {function.name}: @traits"
    placed = {
        trait: _placed(value, path.parent, f"{where}: {trait!r}") for trait, value in said.items() if trait in PLACED
    }
    return checked_traits(kind, said | placed, where, optional)


def _placed(value: Any, folder: Path, where: str) -> Any:
    """Return the paths that a trait names from the module's folder: a literal holds texts.

    Raises:
        PluginError: one is not there.
    """
    if isinstance(value, dict):
        return {name: _placed(one, folder, where) for name, one in value.items()}
    if not isinstance(value, str):
        return value
    if not value or not (folder / value).exists():
        near = did_you_mean(value, [one.name for one in folder.iterdir()])
        msg = f"{where}: there is no {value!r}{near}\n  write a path from the folder of the module, {folder}"
        raise PluginError(msg)
    return folder / value


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as exc:
        msg = f"{where}: {ast.unparse(node)} is not a literal\n  write it out; a function can be a trait of a plugin's component only: plugins/NAME.py"
        raise PluginError(msg) from exc


def _unpacked(node: ast.expr, tree: ast.Module, where: str) -> dict[str, Any]:
    """Return the traits that `**NAME` stands for; the module that has them is light, since plugins import it, too."""
    for one in tree.body:
        if isinstance(one, ast.ImportFrom) and (one.module or "").partition(".")[0] in _LIGHT:
            for alias in one.names:
                if isinstance(node, ast.Name) and node.id == (alias.asname or alias.name):
                    return dict(getattr(importlib.import_module(str(one.module)), alias.name))
    msg = f"{where}: **{ast.unparse(node)} is not imported from {listing(_LIGHT)}\n  write the traits out"
    raise PluginError(msg)


def _annotation(argument: ast.arg) -> Any:
    if argument.annotation is None:
        return Any
    try:
        found = eval(ast.unparse(argument.annotation), dict(_NAMES))  # only names of types are in reach
        return eval(found, dict(_NAMES)) if isinstance(found, str) else found
    except Exception:
        return Any


def _default(node: ast.expr | None, argument: ast.arg, path: Path) -> Any:
    if node is None:
        return REQUIRED
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as exc:
        msg = f"{path}:{node.lineno}: the default of {argument.arg!r} is not a literal\n  write a number, string, list or dict"
        raise PluginError(msg) from exc


def _importer(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        """Import the module, in the worker, and call the function."""
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call
