"""The cluster's warnings about a roll-out: the new ones, each once, without what the pods' states say already."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from modelyard.kubernetes.deploying.pods import State, alike, named
from modelyard.kubernetes.objects import items, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from modelyard.kubernetes.kubectl import Kubectl
    from modelyard.kubernetes.objects import Object

_SHOWN = 4
_OLD_S = 300.0
"""What went wrong that long before the last warning is over."""
_NOISE = {"MissingClusterDNS", "BackOff"}
"""Warnings that say nothing of the pod, or what its state says already."""
_BACK_OFFS = {"ImagePullBackOff", "CrashLoopBackOff"}
"""The kubelet's words for that it tries again later: what it tries is told elsewhere."""


def warnings(kubectl: Kubectl, pods: Collection[State], sets: Collection[str]) -> list[str]:
    """Return the last warnings of the cluster about the pods of a roll-out, and about their ReplicaSets `sets`."""
    names = {*sets, *(one.name for one in pods)}
    every = items(kubectl.read("get", "events", "--field-selector=type=Warning"), "items")
    mine = [one for one in every if _about(one) in names and text(one, "reason") not in _NOISE]
    told = [reason for one in pods for reason in one.reasons]
    said: dict[tuple[str, str], list[Object]] = {}
    for one in _recent(mine, pods):
        if not _is_told(text(one, "message"), told):
            key = text(one, "reason"), alike(text(one, "message"), _about(one))
            said[key] = [*said.pop(key, []), one]  # the last is what counts
    return [_words(same) for same in list(said.values())[-_SHOWN:]]


def _words(same: list[Object]) -> str:
    last, names = same[-1], list(dict.fromkeys(map(_about, same)))
    return f"event {text(last, 'reason')} on {named(names)}: {text(last, 'message')}"


def _recent(events: list[Object], pods: Iterable[State]) -> list[Object]:
    """Return the events in order, without those from before the pods were made, and from long before the last.

    All times are the cluster's.
    """
    made = [time for one in pods if (time := _seconds(one.made))]
    newest = max(map(_time, events), default=0.0)
    since = max(newest - _OLD_S, min(made, default=0.0))
    return sorted((one for one in events if _time(one) >= since or not _time(one)), key=_time)


def _is_told(message: str, told: Iterable[str]) -> bool:
    """Tell whether the reasons of the pods say the message: `Error: REASON`, or more words around the reason's own."""
    bare = message.removeprefix("Error: ")
    return bare in _BACK_OFFS or any(bare in reason or _is_in(reason, message) for reason in told)


def _is_in(reason: str, message: str) -> bool:
    """Tell whether what a reason of the kubelet's says, `REASON: words`, stands in the message."""
    word, _, words = reason.partition(": ")
    return " " not in word and bool(words) and words in message


def _about(event: Object) -> str:
    return text(event, "involvedObject", "name")


def _time(event: Object) -> float:
    """Return when it was seen last, in seconds since 1970; 0: it does not say."""
    times = text(event, "series", "lastObservedTime"), text(event, "lastTimestamp"), text(event, "eventTime")
    return max(map(_seconds, times))


def _seconds(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
