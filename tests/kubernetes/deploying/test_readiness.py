"""What a controller says by its conditions, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying.readiness import is_ready, wait, why
from modelyard.kubernetes.kubectl import Kubectl

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster

TRIGGER = "apis/eventing.knative.dev/v1/namespaces/digits/triggers/digits"
THING = {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": {"name": "digits"}}


def live(*conditions: tuple[str, str, str], seen: int = 2) -> dict[str, Any]:
    said = [{"type": one, "status": status, "reason": reason} for one, status, reason in conditions]
    return {"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": said}}


def test_ready_counts_of_what_was_applied_last() -> None:
    assert is_ready(live(("Ready", "True", "")))
    assert not is_ready(live(("Ready", "True", ""), seen=1))
    assert not is_ready(live(("Ready", "Unknown", "")))
    assert not is_ready(live(("BrokerReady", "True", "")))
    assert not is_ready({})


def test_the_particular_is_told_before_the_general() -> None:
    assert why(live(("Ready", "False", "X"), ("BrokerReady", "False", "NoBroker"), ("A", "True", ""))) == [
        "BrokerReady is False (NoBroker)"
    ]
    assert why(live(("Ready", "Unknown", ""))) == ["Ready is Unknown"]
    assert why(live(("Ready", "True", ""), seen=1)) == ["its controller has not seen yet what was applied"]
    assert "its controller does not run" in why({"metadata": {}})[0]


def test_who_waits_in_vain_is_told_what_for(cluster: Cluster) -> None:
    kubectl = Kubectl.find(namespace="digits")
    said: list[str] = []
    cluster.conditions["Trigger"] = [
        {
            "type": "BrokerReady",
            "status": "Unknown",
            "reason": "BrokerDoesNotExist",
            "message": 'Broker "b" is not there',
        }
    ]
    cluster.add(TRIGGER, spec={})
    with pytest.raises(StageFailed) as caught:
        wait(kubectl, THING, 0, "doit back", said.append)
    assert said == [
        "waiting up to 0 s for Trigger/digits",
        '  Trigger/digits: BrokerReady is Unknown (BrokerDoesNotExist): Broker "b" is not there',
    ]
    assert str(caught.value).splitlines() == [
        "Trigger/digits did not get ready:",
        "  not within 0 s",
        '  BrokerReady is Unknown (BrokerDoesNotExist): Broker "b" is not there',
        "  look further: kubectl --namespace=digits describe triggers.eventing.knative.dev digits",
        "  go back: doit back",
    ]
