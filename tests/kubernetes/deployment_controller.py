"""What the controllers of Deployments and ReplicaSets do, at once: a set a pod template, revisions, records, pods, status."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster

REVISION = "deployment.kubernetes.io/revision"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def reconcile(cluster: Cluster, path: str) -> None:
    """Bring the ReplicaSets and pods of the Deployment at `path` to what it says; without one, away."""
    deployment = cluster.objects.get(path)
    folder = path.rpartition("/deployments/")[0]
    sets = _sets(cluster, path)
    if deployment is None:
        for one in sets:
            _scale(cluster, one, 0)
            del cluster.objects[f"{folder}/replicasets/{one['metadata']['name']}"]
        return
    newest = _newest(cluster, deployment, path, sets)
    wanted = deployment["spec"]["replicas"]
    surges = any(one["metadata"]["uid"] != newest["metadata"]["uid"] for one in sets)  # one new pod beside the old ones
    made = 0 if cluster.refusal else wanted if _gets_ready(cluster, newest) or not surges else 1
    if made:
        _scale(cluster, newest, made)
    ready = wanted if _gets_ready(cluster, newest) and not cluster.refusal else 0
    for one in sets:
        if one["metadata"]["uid"] != newest["metadata"]["uid"] and ready:
            _scale(cluster, one, 0)
    _tell(cluster, deployment, path, newest, made, ready)


def _sets(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    every = [one for one in cluster.objects.values() if one["kind"] == "ReplicaSet"]
    return [one for one in every if one["metadata"]["ownerReferences"][0]["uid"] == path]


def _newest(cluster: Cluster, deployment: dict[str, Any], path: str, sets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ReplicaSet of the Deployment's template; it gets the next revision, and the Deployment's annotations."""
    template = deployment["spec"]["template"]
    name = f"{deployment['metadata']['name']}-{hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]}"
    folder = path.rpartition("/deployments/")[0]
    numbers = {one["metadata"]["name"]: int(one["metadata"]["annotations"][REVISION]) for one in sets}
    last = max(numbers.values(), default=0)
    number = last if numbers.get(name) == last and last else last + 1
    known = {k: v for k, v in deployment["metadata"].get("annotations", {}).items() if k != REVISION}
    made = cluster.stamped(
        f"{folder}/replicasets/{name}",
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": deployment["metadata"]["namespace"],
                "labels": template["metadata"]["labels"],
                "annotations": {**known, REVISION: str(number)},
                "ownerReferences": [{"uid": path, "name": deployment["metadata"]["name"], "kind": "Deployment"}],
            },
            "spec": {"template": template},
        },
    )
    cluster.objects[f"{folder}/replicasets/{name}"] = made
    return made


def _status(cluster: Cluster, one: dict[str, Any]) -> dict[str, Any]:
    images = [container["image"] for container in one["spec"]["template"]["spec"]["containers"]]
    return next((status for word, status in cluster.statuses.items() if any(word in image for image in images)), READY)


def _gets_ready(cluster: Cluster, one: dict[str, Any]) -> bool:
    return _status(cluster, one) is READY


def _scale(cluster: Cluster, one: dict[str, Any], number: int) -> None:
    base = f"api/v1/namespaces/{one['metadata']['namespace']}/pods/{one['metadata']['name']}"
    for path in [path for path in cluster.objects if path.startswith(f"{base}-")]:
        del cluster.objects[path]
    for count in range(number):
        path = f"{base}-{count}"
        metadata = {
            "name": path.rpartition("/")[2],
            "namespace": one["metadata"]["namespace"],
            "labels": one["metadata"]["labels"],
            "ownerReferences": [{"uid": one["metadata"]["uid"], "name": one["metadata"]["name"], "kind": "ReplicaSet"}],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": _status(cluster, one)}
        cluster.objects[path] = cluster.stamped(path, pod)


def _tell(
    cluster: Cluster, deployment: dict[str, Any], path: str, newest: dict[str, Any], made: int, ready: int
) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": cluster.refusal}
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": made,
        "updatedReplicas": made,
        "availableReplicas": ready,
        "conditions": [refused] if cluster.refusal else [],
    }
    notes = {**deployment["metadata"].get("annotations", {}), REVISION: newest["metadata"]["annotations"][REVISION]}
    cluster.objects[path] = {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": notes},
        "status": status,
    }
