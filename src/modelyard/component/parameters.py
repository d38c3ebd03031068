"""The configuration that a component takes: its keyword-only parameters, or the fields of its struct."""

from __future__ import annotations

import builtins
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from modelyard.annotations import refusal
from modelyard.component.docs import argument_docs, extras, field_docs, type_doc, type_name
from modelyard.errors import PluginError
from modelyard.typed_params import struct_of

Docs = Callable[[], Mapping[str, str]]


class Parameter(msgspec.Struct, frozen=True):
    """One key of a component's configuration: its name, type, default (`REQUIRED` if none) and documentation.

    `docs` gives the text of each parameter that is written beside it: a build reads none of them.
    """

    name: str
    annotation: Any
    default: Any
    docs: Docs = dict

    @property
    def doc(self) -> str:
        """What the value is: as the component says it, else as the type does."""
        return self.docs().get(self.name) or type_doc(self.annotation)

    @property
    def is_input(self) -> bool:
        """Whether the value names a file or folder whose content the stage reads."""
        return any(extras(self.annotation, "input"))

    @property
    def names_function(self) -> int | None:
        """How many arguments a function of the project's own is called with that the value names; None: it names none."""
        return next(extras(self.annotation, "function"), None)

    @property
    def type_name(self) -> str:
        """The type as a person writes it."""
        return type_name(self.annotation)


REQUIRED: Any = inspect.Parameter.empty


def parameters_of(function: Callable[..., Any], where: str, arguments: int = 1) -> dict[str, Parameter]:
    """Return the keyword-only parameters of `function` by name; the fields of `params`, if that is a struct and the only one.

    Args:
        function: a component's function.
        where: what to call it in messages.
        arguments: how many positional arguments it is called with.

    Raises:
        PluginError: a further parameter is positional, so that no value would ever reach it; or an annotation is missing,
            cannot be resolved, or is one that no value can be checked against.
    """
    signature = inspect.signature(function).parameters
    _check_positional(list(signature.values()), where, arguments)
    if struct := struct_of(function):
        return _fields(struct, where)
    keywords = {name: one for name, one in signature.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}
    hints = _resolved(function, keywords, where)
    docs, found = functools.partial(_function_docs, function), {}
    for name, parameter in keywords.items():
        if name not in hints:
            msg = f"{where}: parameter {name!r} has no annotation\n  write its type: it is checked against the configuration"
            raise PluginError(msg)
        found[name] = _parameter(name, hints[name], parameter.default, docs, where)
    return found


def _function_docs(function: Callable[..., Any]) -> Mapping[str, str]:
    return argument_docs(inspect.getdoc(function) or "")


def _parameter(name: str, annotation: Any, default: Any, docs: Docs, where: str) -> Parameter:
    if why := refusal(annotation):
        msg = f"{where}: parameter {name!r} {why}"
        raise PluginError(msg)
    return Parameter(name, annotation, default, docs)


def _fields(struct: type[msgspec.Struct], where: str) -> dict[str, Parameter]:
    docs = functools.partial(field_docs, struct)
    try:
        fields = msgspec.structs.fields(struct)
    except (NameError, TypeError) as exc:
        msg = (
            f"{where}: cannot read the fields of {struct.__name__}: {exc}\n  import the names at the top of its module"
        )
        raise PluginError(msg) from exc
    return {one.name: _parameter(one.name, one.type, default_of(one), docs, where) for one in fields}


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """Return the default of a struct's field; `REQUIRED` if it has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return REQUIRED if field.default is msgspec.NODEFAULT else field.default


def optional_names(function: Callable[..., Any]) -> set[str]:
    """Return the names of the parameters that have a default."""
    if struct := struct_of(function):
        return {one.name for one in msgspec.structs.fields(struct) if not one.required}
    found = inspect.signature(function).parameters.values()
    return {one.name for one in found if one.kind is one.KEYWORD_ONLY and one.default is not one.empty}


def _resolved(function: Callable[..., Any], names: Collection[str], where: str) -> dict[str, Any]:
    """Return the types of the parameters `names`; those of others may be imported for type checkers alone."""
    plain = inspect.unwrap(function)
    written = {name: one for name, one in plain.__annotations__.items() if name in names}
    named = {name: _named(one, plain.__globals__) for name, one in written.items()}
    others = {name: one for name, one in written.items() if named[name] is None}
    try:
        return named | typing.get_type_hints(
            types.SimpleNamespace(__annotations__=others), plain.__globals__, include_extras=True
        )
    except (NameError, TypeError) as exc:
        msg = f"{where}: cannot read the parameters' annotations: {exc}\n  import the names at the top of the module"
        raise PluginError(msg) from exc


def _named(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """Return the type that `annotation` is the name of, or None: most are names, and to compile one takes 30 us."""
    if not isinstance(annotation, str):
        return None
    found = scope.get(annotation, vars(builtins).get(annotation))
    plain = found.__origin__ if hasattr(found, "__metadata__") else found
    return found if isinstance(plain, type) else None


def _check_positional(parameters: list[inspect.Parameter], where: str, arguments: int) -> None:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    further = [parameter.name for parameter in parameters if parameter.kind in kinds][arguments:]
    if further:
        msg = (
            f"{where}: parameter {further[0]!r} is positional, so no configuration reaches it\n"
            f"  put a `*` before it: what stands behind it is the configuration, {further[0]!r} too"
        )
        raise PluginError(msg)
