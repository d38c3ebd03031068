"""What a plugin may register: a name, a function and the traits of its kind, checked when the project is loaded."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from modelyard.component import Component, Source, optional_names
from modelyard.errors import PluginError, did_you_mean, listing
from modelyard.hookspecs import TRAITS
from modelyard.metrics import Better, Unit
from modelyard.metrics.registered import unlike_quantities
from modelyard.tensors import Loss
from modelyard.typed_params import taking_values

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

_SEQUENCES = {
    "tools",
    "needs",
    "reads_environment",
    "preload",
    "resources",
    "accepts",
    "losses",
    "templates",
    "entrypoint",
    "serving_only",
    "deploy_only",
    "plan_only",
}
_PATHS = {"server", "requirements"}
_PACKAGES = {"client", "package"}
_PATHS_BY_PARAMETER = {"optional_requirements"}
PLACED = _PATHS | _PACKAGES | _PATHS_BY_PARAMETER
"""Traits that are files and folders."""
_DICTS = {"environment", "server_environment", "parts"}
_FLAGS = {
    "reads_settings",
    "deterministic",
    "takes_model",
    "learns",
    "seeded",
    "host_bound",
    "measures",
    "steady",
    "starts_server",
    "serves_several",
    "trains_several",
}
_PYTHON_SERVER = {"server", "requirements", "entrypoint"}
"""What a runtime with a server in Python is registered with; one whose server a base image brings has `image` instead."""
_OF_A_PYTHON_SERVER = _PYTHON_SERVER | {"server_environment", "optional_requirements", "package"}
_OF_AN_IMAGE = {"base", "reads_settings"}
_CHOICES: dict[str, tuple[str, ...]] = {"better": get_args(Better), "unit": get_args(Unit), "loss": get_args(Loss)}
_FUNCTIONS = {"check", "preflight", "deploy", "undeploy", "image", "lock", "plan"}
"""Traits that are functions, which are called with the parameters."""
_OF_PARAMETERS = {"serving_only", "deploy_only", "plan_only", "optional_requirements"}
"""Traits that name parameters, each with a default: a stage is run without them, or they may be left unset."""


def registered(
    kind: str, name: str, function: Callable[..., Any], traits: Mapping[str, Any], source: Source
) -> Component:
    """Return the component that a plugin registers.

    Args:
        kind: one of `KINDS`.
        name: what the configuration calls it.
        function: what it does.
        traits: see `hookspecs`.
        source: the plugin.

    Raises:
        PluginError: the name, the function, a trait or a parameter is none, or a trait that the kind needs is missing.
    """
    where = f"plugin {source.file}: register({name!r})"
    if not isinstance(name, str) or not (
        kind == "kind" or _NAME.fullmatch(name)
    ):  # `kinds_of` says what those are called
        msg = f"{where}: a name has lower-case letters, digits, dots and dashes, and starts and ends with a letter or digit"
        raise PluginError(msg)
    if not inspect.isfunction(inspect.unwrap(function)) and not inspect.ismethod(function):
        msg = f"{where}: the second argument is {function!r}, not a function\n  write a `def` that calls it"
        raise PluginError(msg)
    given = checked_traits(kind, traits, where)
    for trait in _OF_PARAMETERS & traits.keys():
        _check_parameters(where, function, trait, traits[trait] or ())
    called = {trait: taking_values(value) for trait, value in given.items() if trait in _FUNCTIONS}
    component = Component(kind, name, taking_values(function), source, **{**given, **called})
    if source.origin != "built-in":  # whose parameters a test reads: all fifty take 5 ms of every `doit`
        _ = component.parameters
    return component


def checked_traits(kind: str, traits: Mapping[str, Any], where: str, optional: Collection[str] = ()) -> dict[str, Any]:
    """Return the traits of a component as `Component` keeps them.

    Args:
        kind: one of `KINDS`.
        traits: see `hookspecs`.
        where: what to call the component in messages.
        optional: traits that may be missing although a plugin's component needs them.

    Raises:
        PluginError: a component of this kind may not have such a trait, lacks one that it must have, or one is not of
            its type.
    """
    _check_traits(kind, traits, where, optional)
    found = {t: tuple(v) if t in (*_SEQUENCES, "metrics") else v for t, v in traits.items() if v is not None}
    if callable(found.get("produces")):
        found["produces_by"] = found.pop("produces")
    return found


def _check_traits(kind: str, traits: Mapping[str, Any], where: str, may_lack: Collection[str]) -> None:
    known, needed = TRAITS[kind].__annotations__, TRAITS[kind].__required_keys__ - set(may_lack)
    for trait in sorted(traits.keys() - known):
        msg = f"{where}: unknown trait {trait!r}{did_you_mean(trait, known)}\n  a {kind} takes: {listing(known)}"
        raise PluginError(msg)
    if kind == "runtime" and "image" not in traits:
        needed |= _PYTHON_SERVER
    for trait in sorted(_OF_A_PYTHON_SERVER & traits.keys() if "image" in traits else ()):
        msg = (
            f"{where}: traits 'image' and {trait!r} exclude each other\n"
            "  a server in Python has server, requirements and entrypoint; one that a base image brings has image"
        )
        raise PluginError(msg)
    for trait in sorted(_OF_AN_IMAGE & traits.keys() if "image" not in traits else ()):
        msg = f"{where}: trait {trait!r} says something of the image that brings the server\n  register 'image', too"
        raise PluginError(msg)
    for trait in sorted(needed - traits.keys()):
        msg = f"{where}: trait {trait!r} is missing\n  a {kind} takes: {listing(known)}"
        raise PluginError(msg)
    for trait, value in sorted(traits.items()):
        wanted = "" if kind == "trainer" and trait == "produces" and callable(value) else _wanted(trait, value)
        if wanted:
            msg = f"{where}: trait {trait!r} is {value!r}\n  write {wanted}"
            raise PluginError(msg)


def _check_parameters(where: str, function: Any, trait: str, names: Collection[str]) -> None:
    """Check that each name is a parameter with a default."""
    known = optional_names(function)
    for name in names:
        if name not in known:
            msg = (
                f"{where}: trait {trait!r} names {name!r}{did_you_mean(name, known)}, "
                f"which is no keyword-only parameter with a default\n  such parameters: {listing(known)}"
            )
            raise PluginError(msg)


def _wanted(trait: str, value: Any) -> str:
    """Return what `value` should be, or nothing if it is that."""
    if trait == "needs" and value is None:
        return ""
    if trait == "losses":
        losses = get_args(Loss)
        fits = isinstance(value, list | tuple | set | frozenset) and value and all(one in losses for one in value)
        return "" if fits else f"a tuple of {', '.join(map(repr, losses))}"
    if trait in _SEQUENCES:
        fits = isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value)
        return "" if fits else "a tuple of strings, for instance ('tflite',)"
    if trait in _PATHS:
        return "" if _is_there(value) else "the Path of what is there"
    if trait in _PACKAGES:
        fits = _is_there(value) and value.name.isidentifier() and (value / "__init__.py").is_file()
        return "" if fits else "the Path of the folder of a Python package"
    if trait == "schemes":
        fits = isinstance(value, Mapping) and bool(value)
        fits = fits and all(isinstance(one, str) and isinstance(port, int) for one, port in value.items())
        return "" if fits else "a dict from schemes of URLs to their usual ports, for instance {'amqp': 5672}"
    if trait in _DICTS:
        fits = value is None or (
            isinstance(value, Mapping) and all(isinstance(t, str) for t in (*value, *value.values()))
        )
        return "" if fits else "a dict of strings"
    if trait in _PATHS_BY_PARAMETER:
        fits = value is None or (isinstance(value, Mapping) and all(_is_there(path) for path in value.values()))
        return "" if fits else "a dict from names of parameters to the Paths of what is there"
    if trait == "produces":
        return "" if isinstance(value, str) and value else "the name of a format, for instance 'tflite'"
    if trait in _FLAGS:
        return "" if isinstance(value, bool) else "True or False"
    if trait == "after":
        return "" if isinstance(value, str) else "the name of a kind of stage, for instance 'select'"
    if trait == "settings":
        fits = isinstance(value, type) and issubclass(value, msgspec.Struct)
        return "" if fits else "a subclass of msgspec.Struct"
    if trait == "plan":
        return "" if callable(value) else "a function"
    if trait == "base":
        return "" if isinstance(value, str) else "the name of an image, for instance 'tensorflow/serving:2.20.0'"
    if trait in _CHOICES:
        return "" if value in _CHOICES[trait] else " or ".join(map(repr, _CHOICES[trait]))
    if trait == "metrics":
        return unlike_quantities(value)
    if trait == "title":
        return "" if isinstance(value, str) else "the head of its column, for instance 'log loss'"
    if trait == "answers":
        return "" if value in ("logits", "probabilities") else "'logits' or 'probabilities'"
    if trait == "trains_like":
        return "" if isinstance(value, str) else "the name of a model optimizer, for instance 'fine-tune'"
    return "" if value is None or callable(value) else "a function"


def _is_there(value: Any) -> bool:
    return isinstance(value, Path) and value.exists()
