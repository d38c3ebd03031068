"""What the pods of a roll-out do, in words, and which of it will not get better by waiting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.kubernetes.objects import get, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelyard.kubernetes.objects import Object

_HOPELESS = {
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "OOMKilled",
}  # fmt: skip
"""Reasons of the kubelet's that a deploy does not wait out."""
_LAST_WORDS = 6
_NAMED = 3
_OF_ONE_POD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+")
"""What differs from pod to pod in a message: uids, addresses, ports, times, counts."""
_WHICH = re.compile(r" pod=\S+")
"""What the kubelet puts behind a back-off: the pod's own name and uid."""


@dataclass(frozen=True)
class State:
    """How a pod fares: `short` on one line, `reasons` in full, and whether there is `hope` that waiting helps.

    `made` is when it was made, as the API says it.
    """

    name: str
    made: str
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
    name, made = text(pod, "metadata", "name"), text(pod, "metadata", "creationTimestamp")
    return State(name, made, short, tuple(reasons) or (short,), ready, hope)


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
        yield f"{text(waiting, 'reason')}: {_WHICH.sub('', text(waiting, 'message'))}".rstrip(": ")
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


def told(pods: Iterable[State]) -> list[str]:
    """Return what keeps pods, for a message: what keeps several of them, once."""
    same: dict[tuple[str, ...], list[State]] = {}
    for one in pods:
        same.setdefault(tuple(alike(reason, one.name) for reason in one.reasons), []).append(one)
    return [f"{named([f'Pod/{one.name}' for one in each])}: {'; '.join(each[0].reasons)}" for each in same.values()]


def named(names: Sequence[str]) -> str:
    """Return names on one line, the first few of many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def alike(message: str, name: str) -> str:
    """Return a message about the pod `name` without what differs from pod to pod, to tell whether two say the same."""
    return _OF_ONE_POD.sub("0", message.replace(name, "") if name else message)
