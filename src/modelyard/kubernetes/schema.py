"""Check objects against Kubernetes' own schema, when `kubernetes-validate` is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.findings import Finding
from modelyard.kubernetes.objects import kind, label

if TYPE_CHECKING:
    from collections.abc import Sequence


def schema_findings(documents: Sequence[Any], version: str) -> list[Finding]:
    """Return where `documents` differ from the schema of Kubernetes `version` (`1.32`), unknown fields included.

    Kinds that are not Kubernetes' own are left out. Without `kubernetes-validate` nothing is found.
    """
    try:
        import kubernetes_validate
    except ModuleNotFoundError:
        return []
    version = min(version, kubernetes_validate.latest_version(), key=_number)
    found = (_check(kubernetes_validate, one, version) for one in documents if "/" not in kind(one))
    return [finding for finding in found if finding]


def _number(version: str) -> int:
    return int(version.split(".")[1])


def _check(validator: Any, document: Any, version: str) -> Finding | None:
    try:
        validator.validate(document, version, strict=True)
    except validator.ValidationError as exc:
        where = ".".join(str(part) for part in exc.absolute_path) or "the object"
        message = f"{where}: {exc.message:.300}"
        return Finding("schema", "error", label(document), message, f"see `kubectl explain {document['kind'].lower()}`")
    except validator.SchemaNotFoundError:
        message = f"Kubernetes {version} has no {document['kind']} in {document['apiVersion']!r}"
        return Finding("schema", "error", label(document), message, "mend apiVersion and kind")
    return None
