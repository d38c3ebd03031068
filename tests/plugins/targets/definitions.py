"""The definitions of custom resources as their projects publish them, with unknown fields refused."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

CRDS = next((one / "shared/crds" for one in Path(__file__).parents if (one / "shared/crds").is_dir()), None)
"""The definitions as their projects publish them, in a folder beside the project."""

needs_definitions = pytest.mark.skipif(
    CRDS is None, reason="needs the definitions of the resources, which are not beside the project"
)


def strict(schema: Any) -> Any:
    """Return the schema of a custom resource with unknown fields refused, as an API server refuses them when asked to."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    open_ended = "additionalProperties" in made or made.get("x-kubernetes-preserve-unknown-fields") is True
    if isinstance(made.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


@functools.cache
def _definition(file: str) -> dict[str, Any]:
    assert CRDS
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some have ten thousand lines
    found: dict[str, Any] = next(one for one in yaml.load_all((CRDS / file).read_text(), Loader=loader) if one)
    return found


def problems(thing: dict[str, Any], file: str) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    definition = _definition(file)
    version = thing["apiVersion"].rpartition("/")[2]
    schema = next(one for one in definition["spec"]["versions"] if one["name"] == version)["schema"]["openAPIV3Schema"]
    top = strict(schema)
    top["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return [error.message for error in jsonschema.Draft202012Validator(top).iter_errors(thing)]
