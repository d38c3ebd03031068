"""What was deployed before and is no longer rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.deployed import NAMESPACE, told

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer

SCALED = "apis/keda.sh/v1alpha1/namespaces/digits/scaledobjects/digits"
SCALER = "apis/autoscaling/v2/namespaces/digits/horizontalpodautoscalers/digits"


@pytest.mark.usefixtures("deployed_once")
def test_what_is_no_longer_rendered_is_removed_and_told_before(deployer: Deployer, cluster: Cluster) -> None:
    said = deployer(max_replicas=2, network_policy=False, options={"dry_run": True})
    gone = ["HorizontalPodAutoscaler/digits", "NetworkPolicy/digits"]
    assert sorted(told(said, "remove")) == gone
    assert len(cluster.names("NetworkPolicy")) == 1
    assert sorted(told(deployer(max_replicas=2, network_policy=False), "remove")) == gone
    assert cluster.names("HorizontalPodAutoscaler") == cluster.names("NetworkPolicy") == []


def test_a_route_of_a_gateway_goes_with_it(deployer: Deployer, cluster: Cluster) -> None:
    deployer(gateway="infra/web", gateway_ca="our-ca")
    assert cluster.names("HTTPRoute") == cluster.names("BackendTLSPolicy") == ["digits"]
    cluster.written.clear()
    assert deployer(gateway="infra/web", gateway_ca="our-ca")[-1].endswith(" runs")
    assert cluster.written == []
    said = deployer(ingress_host="digits.example.org")
    assert sorted(told(said, "remove")) == ["BackendTLSPolicy/digits", "HTTPRoute/digits"]
    assert told(said, "create") == ["Ingress/digits"]
    assert cluster.names("HTTPRoute") == cluster.names("BackendTLSPolicy") == []


@pytest.mark.usefixtures("deployed_once")
def test_kedas_objects_take_the_autoscalers_place_and_go_with_it(deployer: Deployer, cluster: Cluster) -> None:
    keda: dict[str, Any] = {
        "scale_on": [{"type": "cron", "metadata": {"timezone": "UTC"}}],
        "scale_secrets": {"key": "broker/key"},
    }
    said = deployer(**keda)
    assert sorted(told(said, "create")) == ["ScaledObject/digits", "TriggerAuthentication/digits"]
    assert told(said, "remove") == ["HorizontalPodAutoscaler/digits"]
    labels = cluster.objects[SCALED]["metadata"]["labels"]
    cluster.add(SCALER, spec={})  # KEDA's own, with the labels of what it was made for
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "digits", "uid": "1"}
    cluster.objects[SCALER]["metadata"] |= {"labels": labels, "ownerReferences": [owner]}
    assert told(deployer(**keda), "remove") == []
    said = deployer(max_replicas=2)
    assert sorted(told(said, "remove")) == ["ScaledObject/digits", "TriggerAuthentication/digits"]


@pytest.mark.usefixtures("deployed_once")
def test_others_objects_with_the_label_of_the_manager_stay(deployer: Deployer, cluster: Cluster) -> None:
    labels = {"app.kubernetes.io/managed-by": "modelyard", "app.kubernetes.io/instance": "other"}
    cluster.add(f"{NAMESPACE}/services/other", spec={})
    cluster.objects[f"{NAMESPACE}/services/other"]["metadata"]["labels"] = labels
    deployer.take_away(yes=True)
    assert cluster.names("Service") == ["other"]


@pytest.mark.usefixtures("deployed_once")
def test_settings_stay_as_long_as_a_revision_reads_them(deployer: Deployer, cluster: Cluster) -> None:
    deployer(port=9001)
    assert len(cluster.names("ConfigMap")) == 2
    [oldest] = [path for path, one in cluster.objects.items() if revision_of(one) == "1"]
    read = str(cluster.objects[oldest]["spec"])
    del cluster.objects[oldest]  # as the controller does beyond the revisionHistoryLimit
    deployer(port=9002)
    assert len(cluster.names("ConfigMap")) == 2
    assert not any(name in read for name in cluster.names("ConfigMap"))


def revision_of(thing: dict[str, Any]) -> str:
    """Return the revision of a ReplicaSet; empty for other objects."""
    notes = thing["metadata"].get("annotations", {}) if thing["kind"] == "ReplicaSet" else {}
    return str(notes.get("deployment.kubernetes.io/revision", ""))
