"""What is deployed in the cluster on loopback, as tests of deploys ask for it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster

NAMESPACE = "api/v1/namespaces/digits"
DEPLOYMENT = "apis/apps/v1/namespaces/digits/deployments/digits"
SERVICE = f"{NAMESPACE}/services/digits"


def kubectl(*words: str) -> str:
    """Return what the real kubectl answers."""
    return subprocess.run(["kubectl", *words], check=True, capture_output=True, text=True).stdout


def told(said: list[str], how: str) -> list[str]:
    """Return the objects of which a deploy says that it creates, changes or removes them."""
    return [line.split()[1].rstrip(":") for line in said if line.startswith(f"  {how} ")]


def managers(cluster: Cluster, path: str = DEPLOYMENT) -> dict[str, str]:
    return {one["manager"]: one["operation"] for one in cluster.objects[path]["metadata"]["managedFields"]}


def image(cluster: Cluster) -> str:
    deployment = cluster.get("Deployment")
    assert deployment is not None
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """Return the status of a pod whose container waits."""
    return {
        "containerStatuses": [{"name": "server", "state": {"waiting": {"reason": reason, "message": message}}, **more}]
    }
