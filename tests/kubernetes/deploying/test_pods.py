"""Pods that do not get ready: what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.deployed import NAMESPACE, waiting

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying.pods import state, told

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


ENDED = {"lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "listening\nTLS: not a key\n"}}}
KILLED = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(
            waiting("ErrImagePull", "no such image"),
            ["ErrImagePull: no such image"],
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            ['CreateContainerConfigError: secret "x" not found'],
            marks=pytest.mark.thorough,
        ),
        (
            waiting("CrashLoopBackOff", "back-off 10s", **ENDED),
            ["CrashLoopBackOff: back-off 10s; server ended with code 2 (Error)\n    listening\n    TLS: not a key"],
        ),
        pytest.param(
            waiting("CrashLoopBackOff", "back-off", **KILLED),
            ["server ended with code 137 (OOMKilled)"],
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["pull", "config", "crash", "memory"],
)
@pytest.mark.usefixtures("deployed_once")
def test_a_pod_without_hope_ends_the_wait_with_its_last_words(
    status: dict[str, Any], words: list[str], deployer: Deployer, cluster: Cluster
) -> None:
    cluster.statuses["sha256:bbbb"] = status
    with pytest.raises(StageFailed) as caught:
        deployer(digest="b", rollout_timeout_s=300)
    said = str(caught.value)
    assert said.startswith("Deployment/digits did not get ready:\n  Pod/digits-")
    assert all(word in said for word in words)
    assert f"  go back: doit deploy:kubernetes --to {deployer.renders[0][:12]}" in said
    # a deploy that mends it is not judged by what went before
    assert deployer(digest="c")[-1].endswith(f"; go back: doit deploy:kubernetes --to {deployer.renders[0][:12]}")


def test_warnings_of_the_cluster_about_the_new_pods_are_told(deployer: Deployer, cluster: Cluster) -> None:
    cluster.statuses["sha256"] = waiting("ErrImagePull")
    with pytest.raises(StageFailed):
        deployer()
    pod, _ = cluster.names("Pod")
    for number, who in enumerate((pod, "other-a")):
        event = {"type": "Warning", "reason": "Failed", "message": f"of {who}", "involvedObject": {"name": who}}
        cluster.add(f"{NAMESPACE}/events/{number}", **event)
    with pytest.raises(StageFailed, match=f"event Failed on {pod}: of {pod}") as caught:
        deployer()
    assert "other-a" not in str(caught.value)


def test_what_keeps_several_pods_is_said_once() -> None:
    pods = []
    for number, name in enumerate(("net-1-a", "net-1-b", "net-1-c")):
        uid = f"0{number}345678-90ab-cdef-0123-456789abcdef"
        message = f"back-off {number}0s restarting failed container=server pod={name}_models({uid})"
        status = waiting("CrashLoopBackOff", message, **ENDED)
        pods.append(state({"metadata": {"name": name}, "status": status}))
    pods.append(state({"metadata": {"name": "net-1-d"}, "status": waiting("ErrImagePull", "no such image")}))
    crashed, waits = told(pods)
    who, _, why = crashed.partition(": ")
    assert who == "Pod/net-1-a, Pod/net-1-b, Pod/net-1-c"
    ended = "server ended with code 2 (Error)\n    listening\n    TLS: not a key"
    assert why == f"CrashLoopBackOff: back-off 00s restarting failed container=server; {ended}"
    assert waits == "Pod/net-1-d: ErrImagePull: no such image"
