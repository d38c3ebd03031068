"""Run every rule, and the schema, over the objects that are applied together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard.kubernetes import event_rules, metadata_rules, pod_rules, route_rules, run_rules, wiring_rules
from modelyard.kubernetes.findings import Finding, findings
from modelyard.kubernetes.objects import Bundle
from modelyard.kubernetes.schema import schema_findings
from modelyard.kubernetes.syntax import minor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSION = "1.32"
"""The version of Kubernetes that is rendered for unless another is named."""

RULE_MODULES = (pod_rules, run_rules, wiring_rules, route_rules, event_rules, metadata_rules)


def check(documents: Sequence[Any], *, version: str = VERSION, image: str = "") -> list[Finding]:
    """Return what is wrong with Kubernetes objects, as parsed from YAML: errors first.

    Args:
        documents: the objects, in the order in which they are applied.
        version: the cluster's version, `1.32`.
        image: the reference of the image that was built; what runs under its name must be it.
    """
    found = [
        Finding(
            "object",
            "error",
            f"document {place}",
            f"{document!r:.80} is no object",
            "give it apiVersion, kind and metadata",
        )
        for place, document in enumerate(documents, 1)
        if not _is_object(document)
    ]
    objects = [one for document in documents if _is_object(document) for one in _listed(document)]
    bundle = Bundle(objects, image=image, version=minor(version) or 0)
    found += [*schema_findings(objects, version.removeprefix("v")), *findings(bundle)]
    return sorted(found, key=lambda finding: finding.severity != "error")


def enforce(found: Sequence[Finding], log: Callable[[str], None], what: str = "the Kubernetes objects") -> None:
    """Log the warnings among `found`.

    Args:
        found: the findings.
        log: takes a line.
        what: what was looked at, for the message.

    Raises:
        StageFailed: there are errors; the message says each, with its rule, its object and what to do.
    """
    for finding in found:
        if finding.severity == "warning":
            log(f"warning: {finding}")
    errors = [str(finding) for finding in found if finding.severity == "error"]
    if errors:
        msg = f"{what} break {len(errors)} rule{'s' * (len(errors) > 1)}:\n" + "\n".join(errors)
        raise StageFailed(msg)


def _listed(thing: dict[str, Any]) -> list[Any]:
    """Return the objects of a `List`, as kubectl reads it; of anything else, the thing itself."""
    return [one for one in thing.get("items") or () if _is_object(one)] if thing["kind"] == "List" else [thing]


def _is_object(document: object) -> bool:
    wanted = ("apiVersion", "kind")
    return isinstance(document, dict) and all(isinstance(document.get(key), str) and document[key] for key in wanted)
