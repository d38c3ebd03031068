"""A Service of Knative is deployed as a Deployment is: looked at, told, changed, recorded, gone back from, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.conftest import Deployer
from tests.kubernetes.deployed import told

from modelyard.errors import StageFailed, ToolError
from modelyard.kubernetes.deploying.workloads import KNATIVE, with_pods
from modelyard.kubernetes.knative_params import KnativeParams
from modelyard.typed_params import taking_values
from modelyard_plugins.targets.knative import knative

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes.api_stub import Cluster

SERVICE = "apis/serving.knative.dev/v1/namespaces/digits/services/digits"
TRIGGER = "apis/eventing.knative.dev/v1/namespaces/digits/triggers/digits"
EVENTS: dict[str, Any] = {"broker": "default", "event_types": ("picture.seen",), "dead_letter": "broker"}


@pytest.fixture
def knatives(tmp_path: Path) -> Deployer:
    return Deployer(tmp_path / "renders", target=taking_values(knative), params=KnativeParams, workload=KNATIVE)


def test_a_service_is_deployed_and_waited_for_with_its_trigger(knatives: Deployer, cluster: Cluster) -> None:
    said = knatives(**EVENTS)
    assert told(said, "create") == ["ServiceAccount/digits", "Service/digits", "Trigger/digits"]
    assert "Service/digits is ready, at http://digits.digits.svc.cluster.local" in said
    assert said[-2:] == ["Trigger/digits is ready", f"deployed render {knatives.renders[0][:12]}"]
    notes = cluster.objects[SERVICE]["metadata"]["annotations"]
    assert notes["modelyard.dev/render"] == knatives.renders[0]
    assert "image sha256:aaaa" in notes["kubernetes.io/change-cause"]
    cluster.written.clear()
    assert knatives(**EVENTS)[-1] == f"unchanged: render {knatives.renders[0][:12]} runs"
    assert cluster.written == []


def test_what_changes_is_told_and_what_is_no_longer_rendered_goes(knatives: Deployer, cluster: Cluster) -> None:
    knatives(**EVENTS)
    said = knatives(digest="b", options={"dry_run": True, "diff": True}, **EVENTS)
    assert told(said, "change") == ["Service/digits"]
    assert any("\n-" in line and "@sha256:aaaa" in line and "@sha256:bbbb" in line for line in said)
    said = knatives(digest="b")
    assert told(said, "remove") == ["Trigger/digits"]
    assert TRIGGER not in cluster.objects
    assert said[-1].endswith(f"go back: doit deploy:kubernetes --to {knatives.renders[0][:12]}")
    back = knatives.renders[0]
    knatives(options={"to": back[:12]}, digest="b")
    assert cluster.objects[SERVICE]["metadata"]["annotations"]["modelyard.dev/render"] == back
    assert TRIGGER in cluster.objects
    assert told(knatives.take_away(yes=True), "remove") == ["ServiceAccount/digits", "Service/digits", "Trigger/digits"]
    assert not {SERVICE, TRIGGER} & cluster.objects.keys()


def test_a_cluster_without_knative_is_told(knatives: Deployer, cluster: Cluster) -> None:
    cluster.lacks = ("serving.knative.dev",)
    with pytest.raises(
        ToolError, match=r"knows no Service of serving\.knative\.dev/v1: Knative Serving is not installed"
    ):
        knatives()
    cluster.lacks = ("eventing.knative.dev",)
    with pytest.raises(ToolError, match=r"no Trigger of eventing\.knative\.dev/v1: Knative Eventing is not installed"):
        knatives(**EVENTS)
    assert cluster.written == []
    knatives()


def test_a_secret_that_the_pods_need_is_missed_before_anything_is_applied(knatives: Deployer, cluster: Cluster) -> None:
    with pytest.raises(ToolError, match="Secret 'other' is not there"):
        knatives(auth_secret="other")
    assert cluster.written == []


def test_a_service_of_another_target_is_left_alone(knatives: Deployer, cluster: Cluster) -> None:
    knatives()
    with pytest.raises(ToolError, match="deployed by the target 'kubernetes', not by 'staging'"):
        knatives(options={"target": "staging"})


def test_who_looks_at_pods_sees_those_of_a_service_of_knative() -> None:
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"template": {}}}
    plain = {"apiVersion": "v1", "kind": "Service"}
    assert with_pods([service, plain]) == [{**service, "apiVersion": "apps/v1", "kind": "Deployment"}, plain]


def test_a_revision_that_does_not_start_is_told_in_knatives_words(
    knatives: Deployer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.kubernetes.deploying.readiness.FALSE_S", 0.0)
    failed = {"reason": "RevisionFailed", "message": "Container failed with: no such model"}
    cluster.conditions["Service"] = [
        {"type": "ConfigurationsReady", "status": "False", **failed},
        {"type": "Ready", "status": "False", **failed},
    ]
    with pytest.raises(StageFailed) as caught:
        knatives()
    assert "ConfigurationsReady is False (RevisionFailed): Container failed with: no such model" in str(caught.value)
    assert "go back: doit undeploy:kubernetes" in str(caught.value)
