"""Which warnings of the cluster are told when a roll-out fails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.kubernetes.deploying.events import warnings
from modelyard.kubernetes.deploying.pods import State


def event(who: str, reason: str, message: str, time: str = "", **more: Any) -> dict[str, Any]:
    stamp = {"lastTimestamp": f"2026-11-28T{time}Z"} if time else {"lastTimestamp": None}
    return {"involvedObject": {"name": who}, "reason": reason, "message": message, **stamp, **more}


def pod(name: str, *reasons: str, made: str = "10:00:00") -> State:
    return State(name, f"2026-11-28T{made}Z", "not ready", reasons, is_ready=False, hope=True)


def told(events: list[dict[str, Any]], *pods: State) -> list[str]:
    cluster: Any = SimpleNamespace(read=lambda *_: {"items": events})
    return warnings(cluster, pods, ["net-1"])


PROBE = 'Readiness probe failed: Get "https://10.0.0.{}:8443/v2/health/ready": connection refused'


def test_the_same_of_several_pods_is_told_once_with_the_last_words() -> None:
    names = [f"net-1-{letter}" for letter in "abcde"]
    events = [event(who, "Unhealthy", PROBE.format(n), f"10:01:0{n}") for n, who in enumerate(names)]
    assert told(events, *map(pod, names)) == [
        f"event Unhealthy on net-1-a, net-1-b, net-1-c and 2 more: {PROBE.format(4)}"
    ]
    assert told([*events, events[0]], pod("net-1-a")) == [f"event Unhealthy on net-1-a: {PROBE.format(0)}"]


def test_what_is_about_others_or_says_nothing_is_left_out() -> None:
    noise = [
        event("net-1-a", "MissingClusterDNS", "x"),
        event("net-1-a", "BackOff", "y"),
        event("other-a", "Failed", "z"),
    ]
    assert told(noise, pod("net-1-a")) == []


@pytest.mark.parametrize(
    "message",
    [
        "Error: ErrImagePull",
        "Error: ImagePullBackOff",
        "no such image",
        'Failed to pull image "net:1@sha256:0": no such image',
    ],
)
def test_what_a_pods_state_says_is_not_said_again(message: str) -> None:
    assert told([event("net-1-a", "Failed", message)], pod("net-1-a", "ErrImagePull: no such image")) == []


def test_what_was_before_the_pods_is_over() -> None:
    events = [event("net-1", "FailedCreate", "quota", "09:59:59"), event("net-1", "FailedCreate", "policy", "10:00:01")]
    assert told(events, pod("net-1-a"), pod("net-1-b", made="10:02:00")) == ["event FailedCreate on net-1: policy"]


def test_what_was_long_before_the_last_warning_is_over() -> None:
    events = [
        event("net-1-a", "FailedScheduling", "no node", "10:01:00"),
        event("net-1-a", "FailedMount", "x", "10:30:00"),
    ]
    assert told(events, pod("net-1-a")) == ["event FailedMount on net-1-a: x"]


def test_the_last_four_are_told_by_whatever_time_they_have() -> None:
    series: dict[str, Any] = {
        "eventTime": "2026-11-28T10:01:00.123456Z",
        "series": {"lastObservedTime": "2026-11-28T10:03:00.000001Z"},
    }
    events = [event("net-1-a", "Odd", "newest", **series)]
    events += [event("net-1-a", reason, "m", f"10:02:0{n}") for n, reason in enumerate(("A", "B", "C", "D"))]
    assert [line.split()[1] for line in told(events, pod("net-1-a"))] == ["B", "C", "D", "Odd"]
    assert told([event("net-1-a", "Odd", "m", firstTimestamp="soon")], pod("net-1-a")) == ["event Odd on net-1-a: m"]
