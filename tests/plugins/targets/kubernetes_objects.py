"""What the target `kubernetes` renders, read back, and parameters to render it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.rendered import Checked, check_rendered

if TYPE_CHECKING:
    from modelyard.contexts import TargetContext

ALL: dict[str, Any] = {"namespace": "digits", "create_namespace": True, "ingress_host": "digits.example.org"}
FULL: dict[str, Any] = {
    **ALL,
    "name": "digits-staging",
    "env": {"MODELYARD_MAX_BATCH": "64", "TZ": "UTC"},
    "env_from_secrets": {"TOKEN": "backend/token", "OTHER": "backend/other", "DSN": "database/dsn"},
    "gpus": 1,
    "tolerations": ({"key": "spot", "operator": "Exists", "effect": "NoSchedule"},),
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
            }
        }
    },
    "spread_over": ("topology.kubernetes.io/zone",),
    "spread_strictly": True,
    "node_selector": {"pool": "models"},
    "allow_namespaces": ("web",),
    "allow_scrapers": ("monitoring",),
    "service_monitor": True,
    "service_monitor_labels": {"release": "prometheus"},
    "image_pull_secrets": ("registry",),
    "priority_class": "high",
}
BARE: dict[str, Any] = {"auth": False, "tls": False, "max_replicas": 2, "network_policy": False, "cpu_limit": ""}


def objects(context: TargetContext) -> dict[str, Any]:
    return {one["kind"]: one for one in objects_in(read_folder(context.out))}


def pod(context: TargetContext) -> dict[str, Any]:
    found: dict[str, Any] = objects(context)["Deployment"]["spec"]["template"]["spec"]
    return found


def looked_at(context: TargetContext) -> Checked:
    """Check what was rendered as the stage does."""
    image = context.image.reference
    return check_rendered(context.out, name=context.name, image=image, log=context.log, warn=context.warn)
