"""A component: a registered function whose keyword-only parameters are its configuration."""

from __future__ import annotations

import builtins
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from modelyard.annotations import refusal
from modelyard.errors import ConfigError, PluginError, did_you_mean, listing
from modelyard.tensors import Loss
from modelyard.toml.places import Place, Where, at
from modelyard.typed_params import struct_of

KINDS = (
    "dataset",
    "task",
    "model",
    "trainer",
    "optimizer",
    "runtime",
    "handler",
    "source",
    "metric",
    "gate",
    "builder",
    "target",
    "kind",
    "executor",
)
"""The kinds of component, in the order of a build; a `kind` of stage that a plugin adds is one, too."""
_ARGUMENTS = {"model": 2, "task": 0}
"""What a component is called with beside its configuration, where that is not one argument."""


def called_with(kind: str) -> int:
    """Return how many arguments a component of `kind` is called with beside its configuration."""
    return _ARGUMENTS.get(kind, 1)


def kind_name(kind: str) -> str:
    """Return what people call a component of `kind`."""
    return {"optimizer": "model optimizer", "kind": "kind of stage"}.get(kind, kind)


PLACES = ("input", "output", "dead_letter", "group")
"""Where a broker has what, and how it calls those that share the work: a source is asked whether it allows them."""


class Source(msgspec.Struct, frozen=True):
    """Where a plugin comes from.

    Attributes:
        name: the plugin's name: a module, or the name of an entry point.
        origin: `project`, `installed` or `built-in`.
        file: the module's file.
        distribution: name and version of the installed distribution, or empty.
    """

    name: str
    origin: str
    file: Path
    distribution: str = ""


class Parameter(msgspec.Struct, frozen=True):
    """One key of a component's configuration: its name, type, default (`REQUIRED` if none) and documentation."""

    name: str
    annotation: Any
    default: Any
    doc: str = ""

    @property
    def is_input(self) -> bool:
        """Whether the value names a file or folder whose content the stage reads."""
        return any(_extras(self.annotation, "input"))

    @property
    def names_function(self) -> int | None:
        """How many arguments a function of the project's own is called with that the value names; None: it names none."""
        return next(_extras(self.annotation, "function"), None)

    @property
    def type_name(self) -> str:
        """The type as a person writes it."""
        return type_name(self.annotation)


REQUIRED: Any = inspect.Parameter.empty


class Component(msgspec.Struct, frozen=True, dict=True):
    """A function registered under `name` for one of `KINDS`, with its traits (see `hookspecs`)."""

    kind: str
    name: str
    function: Callable[..., Any]
    source: Source
    accepts: tuple[str, ...] = ()
    produces: str = ""
    produces_by: Callable[..., str] | None = None
    takes_model: bool = True
    losses: tuple[str, ...] = ("cross-entropy",)
    trains_like: str = ""
    answers: Literal["", "logits", "probabilities"] = ""
    tools: tuple[str, ...] = ()
    needs: tuple[str, ...] | None = None
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    reads_environment: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    check: Callable[..., Any] | None = None
    deterministic: bool = False
    preflight: Callable[..., Any] | None = None
    scripts: Callable[..., Any] | None = None
    templates: tuple[str, ...] = ()
    deploy: Callable[..., Any] | None = None
    undeploy: Callable[..., Any] | None = None
    server: Path | None = None
    requirements: Path | None = None
    optional_requirements: Mapping[str, Path] = msgspec.field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    server_environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    client: Path | None = None
    package: Path | None = None
    schemes: Mapping[str, int] = msgspec.field(default_factory=dict)
    broker: Callable[..., Any] | None = None
    image: Callable[..., Any] | None = None
    base: str = ""
    reads_settings: bool = True
    serving_only: tuple[str, ...] = ()
    serves_several: bool = False
    deploy_only: tuple[str, ...] = ()
    lock: Callable[..., Any] | None = None
    metrics: tuple[Any, ...] = ()
    loss: Loss = ""
    better: Literal["higher", "lower"] = "higher"
    unit: str = ""
    title: str = ""
    steady: bool = True
    starts_server: bool = False
    after: str = ""
    plan: Callable[..., Any] | None = None
    plan_only: tuple[str, ...] = ()
    seeded: bool = False
    host_bound: bool = False
    measures: bool = False
    parts: Mapping[str, str] = msgspec.field(default_factory=dict)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The configuration that the function takes: its keyword-only parameters, or the fields of the struct `params`.

        Raises:
            PluginError: a parameter is positional, has no annotation, or one that no value can be checked against.
        """
        where = f"{self.kind} {self.name!r} ({self.source.file})"
        return parameters_of(self.function, where, called_with(self.kind))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The parameters that name a file or folder of the project, whose content counts."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.is_input)

    @property
    def needed(self) -> tuple[str, ...]:
        """The distributions that the function cannot run without."""
        return self.tools if self.needs is None else self.needs

    @property
    def trains(self) -> bool:
        """Whether it trains a model, so that it must know the loss: a trainer, or a model optimizer that trains further."""
        return self.takes_model if self.kind == "trainer" else bool(self.trains_like)

    @property
    def file(self) -> Path:
        """The file that defines the function (which may be another than the plugin's)."""
        return Path(inspect.unwrap(self.function).__code__.co_filename)

    @property
    def label(self) -> str:
        """The name as the names of stages and folders may hold it."""
        return self.name.replace(":", ".")

    @property
    def template_folders(self) -> list[Path]:
        """Where the component's own templates are: the `templates` folder beside its plugin's module."""
        return [self.source.file.parent / "templates"]

    @property
    def documentation(self) -> str:
        """The function's docstring, without its indentation."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the documentation, without the full stop."""
        return self.documentation.partition("\n")[0].rstrip(".")


class Use(msgspec.Struct, frozen=True):
    """A component and the values of its parameters, every default filled in."""

    component: Component
    params: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def produces(self) -> str:
        """The format of the model that it gives, with these parameters."""
        by = self.component.produces_by
        return by(**self.params) if by else self.component.produces

    @property
    def scripts(self) -> tuple[str, ...]:
        """The Python files of the project that it runs with these parameters, relative to the project."""
        by = self.component.scripts
        return tuple(by(**self.params) or ()) if by else ()

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of the project's own code that its parameters name, `module:function`."""
        known = self.component.parameters
        named = (
            value for name, value in self.params.items() if name in known and known[name].names_function is not None
        )
        return tuple(filter(None, named))

    @property
    def optional_requirements(self) -> dict[str, Path]:
        """The requirements files of the parameters that are set, by parameter."""
        files = self.component.optional_requirements
        return {name: file for name, file in files.items() if self.params.get(name) not in (None, False)}


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
    docs = argument_docs(inspect.getdoc(function) or "")
    found = {}
    for name, parameter in keywords.items():
        if name not in hints:
            msg = f"{where}: parameter {name!r} has no annotation\n  write its type: it is checked against the configuration"
            raise PluginError(msg)
        found[name] = _parameter(name, hints[name], parameter.default, docs, where)
    return found


def _parameter(name: str, annotation: Any, default: Any, docs: Mapping[str, str], where: str) -> Parameter:
    if why := refusal(annotation):
        msg = f"{where}: parameter {name!r} {why}"
        raise PluginError(msg)
    return Parameter(name, annotation, default, docs.get(name) or type_doc(annotation))


def _fields(struct: type[msgspec.Struct], where: str) -> dict[str, Parameter]:
    docs = _docs_of(struct)
    try:
        fields = msgspec.structs.fields(struct)
    except (NameError, TypeError) as exc:
        msg = (
            f"{where}: cannot read the fields of {struct.__name__}: {exc}\n  import the names at the top of its module"
        )
        raise PluginError(msg) from exc
    return {one.name: _parameter(one.name, one.type, default_of(one), docs, where) for one in fields}


def _docs_of(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the documentation of the fields, those of what it extends included."""
    docs: dict[str, str] = {}
    for one in reversed(struct.__mro__):
        docs |= argument_docs(inspect.cleandoc(one.__dict__.get("__doc__") or ""))
    return docs


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


def argument_docs(doc: str) -> dict[str, str]:
    """Return the text of each argument, or attribute, in the `Args:` or `Attributes:` section of a Google-style docstring."""
    docs: dict[str, str] = {}
    name = ""
    inside = False
    for line in doc.splitlines():
        if line.strip() in {"Args:", "Arguments:", "Attributes:"}:
            inside = True
        elif inside and line and not line[0].isspace():
            break
        elif inside and line.startswith("    ") and not line.startswith("     ") and ":" in line:
            name, _, text = line.strip().partition(":")
            name = name.partition(" ")[0]
            docs[name] = text.strip()
        elif inside and name and line.strip():
            docs[name] += " " + line.strip()
    return docs


def type_doc(annotation: Any) -> str:
    """Return the documentation that a type brings for each parameter of its kind (see `modelyard.params`), or none."""
    return next(_extras(annotation, "doc"), "")


def _extras(annotation: Any, key: str) -> Iterator[Any]:
    """Yield what the type, or one that it is a union of, says beside its bounds under `key`."""
    for one in (annotation, *typing.get_args(annotation)):
        for meta in getattr(one, "__metadata__", ()):
            extra = meta.extra if isinstance(meta, msgspec.Meta) else None
            if extra and key in extra:
                yield extra[key]


def type_name(annotation: Any) -> str:
    """Return an annotation as a person writes it in a sentence, with its bounds."""
    if hasattr(annotation, "__metadata__"):
        notes = [m.description for m in annotation.__metadata__ if isinstance(m, msgspec.Meta) and m.description]
        return notes[0] if notes else type_name(annotation.__origin__)
    if typing.get_origin(annotation) is typing.Literal:
        return "one of " + ", ".join(repr(a) for a in typing.get_args(annotation))
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        text = " or ".join(type_name(a) for a in arguments if a is not type(None))
        return f"{text} (or left out)" if type(None) in arguments else text
    if typing.get_origin(annotation) is tuple and ... not in arguments:
        return f"[{', '.join(type_name(a) for a in arguments)}]"
    if typing.get_origin(annotation) in (list, tuple):
        return f"a list of {type_name(arguments[0])}"
    if typing.get_origin(annotation) is dict:
        return f"a table of which each value is {type_name(arguments[1])}"
    return annotation.__name__ if isinstance(annotation, type) and not arguments else str(annotation)


def check_values(parameters: Mapping[str, Parameter], values: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """Return `values` with every default filled in, each checked against its parameter.

    Args:
        parameters: what is allowed.
        values: what the configuration says.
        where: the table that they come from, for messages.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or range, or a required key is missing.
    """
    for key in values:
        if key not in parameters:
            msg = f"{at(where, key)}: unknown key {key!r}{did_you_mean(key, parameters)}\n  allowed: {listing(parameters)}"
            raise ConfigError(msg)
    return {name: _check_value(parameter, values, where) for name, parameter in parameters.items()}


def _check_value(parameter: Parameter, values: Mapping[str, Any], where: Place) -> Any:
    if parameter.name not in values:
        if parameter.default is REQUIRED:
            msg = f"{where}: key {parameter.name!r} is missing\n  it is {parameter.type_name}; add `{parameter.name} = ...`"
            raise ConfigError(msg)
        return parameter.default
    value = values[parameter.name]
    numbers = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, float)]
    if not all(map(math.isfinite, numbers)):
        msg = (
            f"{at(where, parameter.name)}: key {parameter.name!r}: {value!r} is not allowed: it is not a finite number"
        )
        raise ConfigError(msg)
    try:
        return _sorted(msgspec.convert(value, parameter.annotation, strict=True))
    except TypeError as exc:
        msg = (
            f"{where}: the parameter {parameter.name!r} has a type that no configuration can hold: "
            f"{parameter.annotation!r}\n  mend the plugin: {exc}"
        )
        raise PluginError(msg) from exc
    except msgspec.ValidationError as exc:
        text = written_text(value, parameter.annotation, at(where, parameter.name))
        if text is not None:
            return text
        refused = next((r[value] for r in _extras(parameter.annotation, "refused") if _is_key(value, r)), None)
        why, instead = refused or (_lower(str(exc)), in_quotes(value, parameter.annotation, str(exc)))
        allowed = parameter.type_name + (f"; {instead}" if instead else "")
        msg = f"{at(where, parameter.name)}: key {parameter.name!r}: {value!r} is not allowed: {why}\n  allowed: {allowed}"
        raise ConfigError(msg) from exc


def _sorted(value: Any) -> Any:
    """Return a value with the keys of its tables in their order: an action key, and an image's settings, know no other.

    Source: TOML 1.0.0, "Table": key and value pairs within tables are not guaranteed to be in any specific order.
    """
    if type(value) is dict:
        return {key: _sorted(value[key]) for key in sorted(value)}
    return type(value)(map(_sorted, value)) if type(value) in (list, tuple) else value


def written_text(value: Any, annotation: Any, place: Place) -> Any:
    """Return a number of the command line as the text that was written, if that is what is meant: `kubernetes_version=1.30`.

    Args:
        value: the number that TOML makes of it, or any other value.
        annotation: what is wanted.
        place: the place of the value.

    Returns:
        The text, or None: it is no number, does not come from the command line, or no text is wanted.
    """
    text = place.written if isinstance(place, Where) and type(value) in (int, float) else None
    try:
        return None if text is None else msgspec.convert(text, annotation, strict=True)
    except msgspec.ValidationError:
        return None


def in_quotes(value: Any, annotation: Any, refused: str) -> str:
    """Return what to do about a number where a text is meant: only the file says how it was written, 1.30 is 1.3."""
    if type(value) in (int, float):
        try:
            msgspec.convert(str(value), annotation, strict=True)
        except msgspec.ValidationError:
            return ""
    return 'a text stands in quotes: "..."' if re.match(r"Expected `str.*got `(int|float)`", refused) else ""


def _is_key(value: Any, refused: Mapping[str, tuple[str, str]]) -> bool:
    return isinstance(value, str) and value in refused


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
