"""What the pods of a roll-out do, in words, and which of it will not get better by waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.kubernetes.objects import get, items, label, mapping, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

_HOPELESS = {
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "OOMKilled",
}  # fmt: skip
"""Reasons of the kubelet's that a deploy does not wait out."""
_LAST_WORDS = 6
_EVENTS = 4
_NOISE = {"MissingClusterDNS", "BackOff"}
"""Warnings that say nothing of the pod, or what its state says already."""


@dataclass(frozen=True)
class State:
    """How a pod fares: `short` on one line, `reasons` in full, and whether there is `hope` that waiting helps."""

    name: str
    short: str
    reasons: tuple[str, ...]
    is_ready: bool
    hope: bool


def state(pod: Object) -> State:
    """Return how a pod fares."""
    conditions = {text(one, "type"): one for one in items(pod, "status", "conditions")}
    ready = text(conditions.get("Ready"), "status") == "True"
    statuses = [*items(pod, "status", "initContainerStatuses"), *items(pod, "status", "containerStatuses")]
    reasons = [] if ready else [reason for one in statuses for reason in _reasons(one)]
    unplaced = conditions.get("PodScheduled")
    if text(unplaced, "status") == "False":
        reasons.append(f"{text(unplaced, 'reason')}: {text(unplaced, 'message')}")
    words = _words(statuses)
    short = "ready" if ready else ", ".join(words) or text(unplaced, "reason") or text(pod, "status", "phase") or "made"
    hope = ready or not (_HOPELESS & set(words))
    name = text(pod, "metadata", "name")
    return State(name, short, tuple(reasons) or (short,), ready, hope)


def _words(statuses: list[Object]) -> list[str]:
    """Return the kubelet's word for each container that is not fine."""
    words = []
    for one in statuses:
        killed = any(text(one, which, "terminated", "reason") == "OOMKilled" for which in ("state", "lastState"))
        waiting = text(one, "state", "waiting", "reason")
        if killed and not one.get("ready"):
            words.append("OOMKilled")
        elif waiting:
            words.append(waiting)
        elif get(one, "state", "terminated") is not None:
            words.append(text(one, "state", "terminated", "reason") or "ended")
        elif get(one, "state", "running") is not None and not one.get("ready"):
            words.append("running, not ready")
    return list(dict.fromkeys(words))


def _reasons(status: Object) -> Iterator[str]:
    waiting = mapping(status, "state", "waiting")
    if waiting:
        yield f"{text(waiting, 'reason')}: {text(waiting, 'message')}".rstrip(": ")
    for one in (mapping(status, "state", "terminated"), mapping(status, "lastState", "terminated")):
        if one:
            yield _ended(text(status, "name"), one)
    if get(status, "state", "running") is not None and not status.get("ready"):
        yield f"runs but is not ready, restarts: {status.get('restartCount', 0)}"


def _ended(container: str, how: Object) -> str:
    """Say how a container ended, with the last lines that it wrote."""
    who = f"{container} " if container else ""
    said = [line for line in text(how, "message").splitlines() if line.strip()][-_LAST_WORDS:]
    return "\n    ".join([f"{who}ended with code {how.get('exitCode')} ({text(how, 'reason')})", *said])


def told(pod: State) -> str:
    """Return what keeps a pod, for a message."""
    return f"{label({'kind': 'Pod', 'metadata': {'name': pod.name}})}: {'; '.join(pod.reasons)}"


def warnings(kubectl: Kubectl, names: Collection[str]) -> list[str]:
    """Return the last warnings of the cluster about the pods and ReplicaSets `names`."""
    events = items(kubectl.read("get", "events", "--field-selector=type=Warning"), "items")
    mine = [one for one in events if text(one, "involvedObject", "name") in names and text(one, "reason") not in _NOISE]
    mine.sort(key=lambda one: text(one, "lastTimestamp") or text(one, "eventTime"))
    said = [
        f"event {text(one, 'reason')} on {text(one, 'involvedObject', 'name')}: {text(one, 'message')}" for one in mine
    ]
    return list(dict.fromkeys(said))[-_EVENTS:]
