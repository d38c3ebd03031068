"""What a service runs as: a Deployment, or a Service of Knative, which makes Deployments of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.kubernetes.deploying import readiness, rollout
from modelyard.kubernetes.objects import Bundle, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

_ANYWHERE = ("serviceaccounts", "networkpolicies.networking.k8s.io")
_SERVICE = "serving.knative.dev/Service"


@dataclass(frozen=True)
class Workload:
    """What a service runs as.

    Attributes:
        kind: the kind of the object that bears the record of a deploy, as `objects.kind` calls it.
        resource: the same, as kubectl calls it.
        beside: what modelyard's own templates render with it, as kubectl calls it; what else was deployed is in the record.
        awaited: the kinds of the objects that are waited for, in order.
        is_complete: tells whether a live one of these does what it should.
        wait: waits for one that was applied: kubectl, the object, seconds, what undoes it, and what takes lines.
    """

    kind: str
    resource: str
    beside: tuple[str, ...]
    awaited: tuple[str, ...]
    is_complete: Callable[[object], bool]
    wait: Callable[[Kubectl, Object, int, str, Callable[[str], None]], None]

    def of(self, things: Iterable[Object]) -> list[Object]:
        """Return those of the objects that are such."""
        return [one for one in things if kind(one) == self.kind]

    def to_wait_for(self, things: list[Object]) -> list[Object]:
        """Return those of the objects that are waited for, in order."""
        return [one for which in self.awaited for one in Bundle(things).of(which)]


DEPLOYMENT = Workload(
    "Deployment",
    "deployments.apps",
    (
        *_ANYWHERE,
        "configmaps",
        "services",
        "deployments.apps",
        "horizontalpodautoscalers.autoscaling",
        "poddisruptionbudgets.policy",
        "ingresses.networking.k8s.io",
    ),
    ("Deployment",),
    rollout.is_complete,
    rollout.wait,
)
KNATIVE = Workload(
    _SERVICE,
    "services.serving.knative.dev",
    (*_ANYWHERE, "services.serving.knative.dev"),
    (_SERVICE, "eventing.knative.dev/Trigger"),
    readiness.is_ready,
    readiness.wait,
)


def with_pods(things: Iterable[Object]) -> list[Object]:
    """Return the objects, a Service of Knative as a Deployment of its pods, for who looks at pods."""
    return [{**one, "apiVersion": "apps/v1", "kind": "Deployment"} if kind(one) == _SERVICE else one for one in things]
