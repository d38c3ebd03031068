"""Objects that are named by what they hold: a change makes a new one.

So earlier pods keep their own ConfigMap, and a Job, which cannot be changed, runs again.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.objects import POD_OWNERS, get, kind, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIGITS = 10
_HASHED = re.compile(rf"(.+)-[0-9a-f]{{{_DIGITS}}}")


def config_name(name: str, data: Mapping[str, Any], binary: Mapping[str, Any] | None = None) -> str:
    """Return the name of a ConfigMap called `name` that holds `data`."""
    content = json.dumps([data, binary or {}], sort_keys=True, default=str)
    return f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"


def is_hashed(name: str, of: str) -> bool:
    """Tell whether `name` is that of a ConfigMap of `of`, whatever it holds."""
    found = _HASHED.fullmatch(name)
    return found is not None and found[1] == of


def named_by_content(documents: list[Any]) -> set[str]:
    """Return the names of the immutable ConfigMaps, and of the Jobs, that are named by what they hold."""
    named = (*_configs(documents), *_jobs(documents))
    return {one["metadata"]["name"] for one in named if right_name(one) == one["metadata"]["name"]}


def rename_configs(documents: list[Any], names: set[str]) -> None:
    """Name each immutable ConfigMap among `names` by what it holds now, and follow that in the pods; then each Job.

    Args:
        documents: the objects, which are changed in place.
        names: their names until now.
    """
    renamed = {}
    for one in _configs(documents):
        old, new = one["metadata"]["name"], right_name(one)
        if old in names and new != old:
            renamed[old] = one["metadata"]["name"] = new
    for one in documents if renamed else []:
        if kind(one) in POD_OWNERS:
            _rename(one, renamed)
    for one in _jobs(documents):
        if one["metadata"]["name"] in names:
            one["metadata"]["name"] = right_name(one)


def _configs(documents: list[Any]) -> Iterator[Any]:
    for one in documents:
        if (
            kind(one) == "ConfigMap"
            and get(one, "immutable") is True
            and _HASHED.fullmatch(text(one, "metadata", "name"))
        ):
            yield one


def _jobs(documents: list[Any]) -> list[Any]:
    return [one for one in documents if kind(one) == "Job" and _HASHED.fullmatch(text(one, "metadata", "name"))]


def right_name(thing: Any) -> str:
    """Return the name that says what a ConfigMap or a Job holds, in place of the end of the one that it has."""
    name, _, _ = thing["metadata"]["name"].rpartition("-")
    if kind(thing) == "Job":
        return config_name(name, mapping(thing, "spec"))
    return config_name(name, mapping(thing, "data"), mapping(thing, "binaryData"))


def _rename(value: Any, names: Mapping[str, str]) -> None:
    """Follow `names` wherever `value` refers to a ConfigMap: in volumes and in the environment."""
    if isinstance(value, list):
        for one in value:
            _rename(one, names)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in ("configMap", "configMapRef", "configMapKeyRef") and text(inner, "name") in names:
                inner["name"] = names[inner["name"]]
            _rename(inner, names)
