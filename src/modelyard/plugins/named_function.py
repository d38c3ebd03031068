"""A function of the project's own that a parameter names, looked at without importing its module.

Such a module imports a framework at its top; the `doit` process must not. So whether the function is there, and can be called
as it will be, is read from the syntax tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelyard.code.syntax import parse
from modelyard.errors import ConfigError, did_you_mean, listing
from modelyard.toml.places import KeyPlace, Place

Function = ast.FunctionDef | ast.AsyncFunctionDef
_CLOSED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
"""What names that are bound inside are not the module's."""


def module_and_function(reference: str, where: Place | KeyPlace) -> tuple[str, str]:
    """Return the two parts of `module:function`.

    Raises:
        ConfigError: it is not written so.
    """
    module, _, name = reference.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        msg = (
            f"{where}: {reference!r} is not a module and a function\n"
            "  write it as module:function, for instance model:build"
        )
        raise ConfigError(msg)
    return module, name


def module_file(project: Path, module: str, where: Place | KeyPlace) -> Path:
    """Return the file of the project's module.

    Raises:
        ConfigError: there is none.
    """
    found = find_module(project, module)
    if found is not None:
        return found
    files = [p.stem for p in project.glob("*.py")]
    msg = (
        f"{where}: no module {module!r} in the project{did_you_mean(module, files)}\n"
        f"  write the file {project.joinpath(*module.split('.')).with_suffix('.py')}, or name another module:function"
    )
    raise ConfigError(msg)


def find_module(project: Path, module: str) -> Path | None:
    """Return the file of the project's module or package, or None."""
    base = project.joinpath(*module.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def check_function(project: Path, reference: str, arguments: int, where: Place | KeyPlace) -> None:
    """Check that the project has the function `reference`, and that it can be called with so many arguments.

    Args:
        project: the project's folder.
        reference: `module:function`; what stands for the function may be any name that the module binds.
        arguments: how many positional arguments it is called with.
        where: the place of the parameter.

    Raises:
        ConfigError: there is no such module or name, or the function takes another number of arguments.
        PluginError: the module has a syntax error.
    """
    module, name = module_and_function(reference, where)
    path = module_file(project, module, where)
    body = parse(path).body
    bound = list(_bound(body))
    if name not in bound and not {"*", "__getattr__"} & set(bound):
        functions = [one.name for one in body if isinstance(one, Function)]
        raise no_function(name, path, functions, where)
    for function in (one for one in body if isinstance(one, Function) and one.name == name):
        check_arguments(function, arguments, path, where, "or give {!r} a default")


def no_function(name: str, path: Path, functions: Sequence[str], where: Place | KeyPlace) -> ConfigError:
    """Return the error that says that the module at `path` has no function `name`, and which ones it has."""
    msg = f"{where}: {path} has no function {name!r}{did_you_mean(name, functions)}\n  it has: {listing(functions)}"
    return ConfigError(msg)


def check_arguments(function: Function, count: int, path: Path, where: Place | KeyPlace, advice: str) -> None:
    """Check that `function` can be called with `count` positional arguments.

    One that is decorated, with anything but modelyard's `traits`, may take others than it says.

    Args:
        function: the function, as it is written.
        count: how many arguments it is called with.
        path: its file.
        where: what names it.
        advice: what may be done with an argument that it would lack, whose name is filled in.

    Raises:
        ConfigError: it cannot.
    """
    takes = function.args
    positional = [one.arg for one in (*takes.posonlyargs, *takes.args)]
    needed = len(positional) - len(takes.defaults)
    decorated = any(last_name(one) != "traits" for one in function.decorator_list)
    if decorated or (needed <= count and (takes.vararg or count <= len(positional))):
        return
    written = f"{function.name}({', '.join(positional)})"
    further = f"; {advice.format(positional[count])}" if count < needed else ""
    msg = f"{where}: {path}:{function.lineno}: {written} is called with {count} argument{'s' * (count != 1)}\n  let it take as many{further}"
    raise ConfigError(msg)


def last_name(node: ast.expr) -> str:
    """Return the last name of what is called, or named: `b` of `a.b(...)`; nothing of other expressions."""
    named = node.func if isinstance(node, ast.Call) else node
    return named.attr if isinstance(named, ast.Attribute) else named.id if isinstance(named, ast.Name) else ""


def _bound(body: Sequence[ast.AST]) -> Iterator[str]:
    """Yield the names that statements of a module bind; `*` for those that an import of all of them does."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (one.asname or one.name for one in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name
        if not isinstance(node, _CLOSED):
            yield from _bound(list(ast.iter_child_nodes(node)))
