"""Check objects against Kubernetes' own schema, and the Gateway API's, when `kubernetes-validate` is installed.

Source: Gateway API 1.4, standard channel: the schemas of its definitions, unknown fields refused.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.findings import Finding
from modelyard.kubernetes.objects import kind, label

if TYPE_CHECKING:
    from collections.abc import Sequence


def schema_findings(documents: Sequence[Any], version: str) -> list[Finding]:
    """Return where `documents` differ from the schema of Kubernetes `version` (`1.32`), unknown fields included.

    Kinds of others are left out, but for those of the Gateway API that are known here. Without `kubernetes-validate` nothing is found.
    """
    try:
        import kubernetes_validate
    except ModuleNotFoundError:
        return []
    version = min(version, kubernetes_validate.latest_version(), key=_number)
    found = [_check(kubernetes_validate, one, version) for one in documents if "/" not in kind(one)]
    found += [_check_installed(one) for one in documents if "/" in kind(one)]
    return [finding for finding in found if finding]


def _check_installed(document: Any) -> Finding | None:
    import jsonschema  # kubernetes-validate stands on it

    schema = _installed().get(f"{document['apiVersion']} {document['kind']}")
    problems = jsonschema.Draft202012Validator(schema).iter_errors(document) if schema else ()
    return next((_finding(document, one) for one in problems), None)


@functools.cache
def _installed() -> dict[str, Any]:
    """Return the schemas of kinds that are installed into a cluster, by apiVersion and kind."""
    text = resources.files("modelyard.kubernetes").joinpath("schemas", "gateway.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _finding(document: Any, problem: Any) -> Finding:
    where = ".".join(str(part) for part in problem.absolute_path) or "the object"
    message = f"{where}: {problem.message:.300}"
    return Finding("schema", "error", label(document), message, f"see `kubectl explain {document['kind'].lower()}`")


def _number(version: str) -> int:
    return int(version.split(".")[1])


def _check(validator: Any, document: Any, version: str) -> Finding | None:
    try:
        validator.validate(document, version, strict=True)
    except validator.ValidationError as exc:
        return _finding(document, exc)
    except validator.SchemaNotFoundError:
        message = f"Kubernetes {version} has no {document['kind']} in {document['apiVersion']!r}"
        return Finding("schema", "error", label(document), message, "mend apiVersion and kind")
    return None
