"""From a fixed number of pods to an autoscaler and back, without a moment at one pod.

Who drops `spec.replicas` from what it applies sets it to the default, 1. So the field is handed to a manager of its own first.
Source: Kubernetes, "Server-Side Apply": transferring ownership.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.kubernetes.deploying.applying import FIELD_MANAGER, apply_fields
from modelyard.kubernetes.deploying.identity import bare
from modelyard.kubernetes.deploying.ownership import FORMER, REPLICAS, owners
from modelyard.kubernetes.objects import Bundle, get, kind, mapping, text

if TYPE_CHECKING:
    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object


def is_scaled(thing: Object) -> bool:
    """Tell whether somebody else than the rendered files says how many pods there are."""
    return kind(thing) == "Deployment" and get(thing, "spec", "replicas") is None


def keeps_number(thing: Object, live: Any) -> bool:
    """Tell whether the number of pods that runs would fall to the default if `thing` were applied as it is."""
    return is_scaled(thing) and bool(owners(live, "spec", "replicas") & {FIELD_MANAGER, FORMER})


def with_number(then: Any, live: Any) -> Any:
    """Return what the API says that a Deployment will be, with the number of pods that it keeps."""
    return {**then, "spec": {**then["spec"], "replicas": get(live, "spec", "replicas")}}


def hand_over(kubectl: Kubectl, live: Any) -> None:
    """Give the number of pods that runs to a manager of its own, from which an autoscaler takes it."""
    set_number(kubectl, live, int(get(live, "spec", "replicas") or 1))


def seed(kubectl: Kubectl, documents: list[Object], applied: list[Any]) -> None:
    """Start a Deployment that an autoscaler will look after with as many pods as the autoscaler wants at least."""
    for scaler in Bundle(documents).of("HorizontalPodAutoscaler", "keda.sh/ScaledObject"):
        least = get(scaler, "spec", "minReplicas") or get(scaler, "spec", "minReplicaCount") or 1
        name = text(mapping(scaler, "spec", "scaleTargetRef"), "name")
        for one in Bundle(applied).of("Deployment"):
            if text(one, "metadata", "name") == name and (get(one, "spec", "replicas") or 1) < least:
                set_number(kubectl, one, int(least))


def set_number(kubectl: Kubectl, deployment: Any, number: int) -> None:
    """Set how many pods a Deployment has."""
    apply_fields(kubectl, {**bare(deployment), "spec": {"replicas": number}}, REPLICAS)
