"""Values of the configuration, each checked against its parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.component.docs import extras
from modelyard.component.parameters import REQUIRED, Parameter
from modelyard.errors import ConfigError, PluginError, did_you_mean, listing
from modelyard.toml.places import Place, Where, at


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
        refused = next((r[value] for r in extras(parameter.annotation, "refused") if _is_key(value, r)), None)
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
