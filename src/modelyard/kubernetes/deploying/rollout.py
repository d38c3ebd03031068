"""Wait for a roll-out by what is there: the pods of the new ReplicaSet, not a condition of an earlier one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying.events import warnings
from modelyard.kubernetes.deploying.pods import State, alike, named, state, told
from modelyard.kubernetes.deploying.records import REVISION
from modelyard.kubernetes.objects import get, items, label, mapping, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

_LOOK_S = 0.5
_FORBIDDEN_S = 5.0
"""How long pods that may not be made (a quota, an admission rule) are given until that counts."""
_STILL_S = 10.0
"""After how long without a change the cluster's warnings are told: a Secret without its key, a network that is not set up."""


@dataclass(frozen=True)
class Sight:
    """What one look shows.

    Attributes:
        deployment: the live Deployment.
        pods: the pods of its new ReplicaSet.
        sets: the name of that ReplicaSet, once it is made.
    """

    deployment: Any
    pods: tuple[State, ...]
    sets: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether all pods are new ones, and can be asked."""
        return is_complete(self.deployment)

    @property
    def refusal(self) -> str:
        """Why the cluster lets no pod be made; empty: it does."""
        for one in items(self.deployment, "status", "conditions"):
            if is_seen(self.deployment) and text(one, "type") == "ReplicaFailure" and text(one, "status") == "True":
                return f"{text(one, 'reason')}: {text(one, 'message')}"
        return ""


def is_complete(deployment: object) -> bool:
    """Tell whether a Deployment runs what it should: all its pods are of its latest revision, and available."""
    status = mapping(deployment, "status")
    wanted = get(deployment, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    return is_seen(deployment) and counts == [wanted] * 3


def is_seen(deployment: object) -> bool:
    """Tell whether the controller has seen what was applied to a live Deployment last."""
    return (get(deployment, "status", "observedGeneration") or 0) >= (get(deployment, "metadata", "generation") or 1)


def wait(kubectl: Kubectl, deployment: Object, timeout_s: int, back: str, say: Callable[[str], None]) -> None:
    """Wait until all pods of a Deployment that was applied are new ones and ready; say what they do as it changes.

    Args:
        kubectl: for its namespace.
        deployment: the Deployment as it was rendered.
        timeout_s: how long to wait at most.
        back: the command that undoes what was applied.
        say: takes the lines.

    Raises:
        StageFailed: a pod will not start however long one waits, or time is up; the message says why, pod by pod.
    """
    say(f"waiting up to {timeout_s} s for {label(deployment)}")
    end, refused = time.monotonic() + timeout_s, 0.0
    news = News(kubectl, say, {one.name: one.short for one in look(kubectl, deployment).pods if one.is_ready})
    while True:
        sight = look(kubectl, deployment)
        news.tell(sight)
        if sight.is_done:
            say(f"{label(deployment)}: {len(sight.pods)} of {len(sight.pods)} pods are ready")
            return
        refused = (refused or time.monotonic()) if sight.refusal else 0.0
        given_up = any(not one.hope for one in sight.pods) or (refused and time.monotonic() - refused > _FORBIDDEN_S)
        if given_up or time.monotonic() > end:
            why = "" if given_up else f"not within {timeout_s} s"
            raise StageFailed(_failure(kubectl, deployment, sight, why, back))
        time.sleep(_LOOK_S)


def look(kubectl: Kubectl, deployment: Object) -> Sight:
    """Return how the Deployment and its new pods are now."""
    name = text(deployment, "metadata", "name")
    live = kubectl.read("get", "deployments.apps", name) or {}
    found = items(kubectl.read("get", "replicasets.apps,pods", "-l", _selector(deployment)), "items")
    newest = text(live, "metadata", "annotations", REVISION)
    sets = {
        text(one, "metadata", "uid"): text(one, "metadata", "name")
        for one in found
        if text(one, "kind") == "ReplicaSet"
        and is_seen(live)
        and text(one, "metadata", "annotations", REVISION) == newest
    }
    pods = [one for one in found if text(one, "kind") == "Pod" and _owner(one) in sets]
    alive = [one for one in pods if not get(one, "metadata", "deletionTimestamp")]
    return Sight(live, tuple(state(one) for one in alive), tuple(sets.values()))


def _selector(deployment: Object) -> str:
    """Return the labels of a Deployment's pods, as kubectl's option `-l` takes them."""
    return ",".join(f"{k}={v}" for k, v in mapping(deployment, "spec", "selector", "matchLabels").items())


def _owner(thing: Object) -> str:
    return next((text(one, "uid") for one in items(thing, "metadata", "ownerReferences")), "")


@dataclass
class News:
    """Says what happens while pods are waited for, each thing once.

    Attributes:
        kubectl: for its namespace.
        say: takes the lines.
        before: the state of each pod at the last look.
        heard: the warnings that were told.
        since: when something happened last, as `time.monotonic` counts.
    """

    kubectl: Kubectl
    say: Callable[[str], None]
    before: dict[str, str]
    heard: set[str] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)

    def tell(self, sight: Sight) -> None:
        """Say how the pods fare whose state has changed, or else, after a while, what the cluster warns of."""
        if self._changes(sight):
            self.since = time.monotonic()
        elif time.monotonic() - self.since > _STILL_S and not sight.is_done:
            self._warnings(sight)
            self.since = time.monotonic()

    def _changes(self, sight: Sight) -> bool:
        """Say what has changed, pods of one state on one line; return whether anything has."""
        now = {one.name: one.short for one in sight.pods}
        changed: dict[str, list[str]] = {}
        for name, short in now.items():
            if self.before.get(name) != short:
                changed.setdefault(short, []).append(name)
        for short, names in changed.items():
            self.say(f"  pod{'s' * (len(names) > 1)} {named(names)}: {short}")
        self.before = now
        return bool(changed)

    def _warnings(self, sight: Sight) -> None:
        for line in warnings(self.kubectl, sight.pods, sight.sets):
            if (heard := alike(line, "")) not in self.heard:
                self.say(f"  {line}")
            self.heard.add(heard)


def _failure(kubectl: Kubectl, deployment: Object, sight: Sight, why: str, back: str) -> str:
    stuck = told(one for one in sight.pods if not one.is_ready)
    reasons = [*filter(None, [why, sight.refusal]), *(stuck or ["no pod was made"] * (not sight.pods))]
    reasons += warnings(kubectl, sight.pods, sight.sets)
    return (
        f"{label(deployment)} did not get ready:\n  " + "\n  ".join(reasons) + "\n"
        f"  look further: {kubectl.shown('logs', '-l', _selector(deployment), '--tail=50', '--all-containers')}\n"
        f"  go back: {back}"
    )
