"""What the controllers of Knative say of a Service and a Trigger, at once: which revision there is, and a condition `Ready`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster


def reconcile(cluster: Cluster, path: str) -> None:
    """Write the status of the object at `path`."""
    thing = cluster.objects[path]
    said = cluster.conditions.get(thing["kind"], [{"type": "Ready", "status": "True"}])
    status = {"observedGeneration": thing["metadata"]["generation"], "conditions": said}
    if thing["kind"] == "Service":
        status |= _revision(thing)
    cluster.objects[path] = {**thing, "status": status if said else {}}


def _revision(service: dict[str, Any]) -> dict[str, str]:
    name = service["metadata"]["name"]
    revision = f"{name}-{service['metadata']['generation']:05}"
    return {"url": f"http://{name}.digits.svc.cluster.local", "latestCreatedRevisionName": revision}
