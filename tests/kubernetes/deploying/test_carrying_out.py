from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import DEPLOYMENT, told, waiting
from tests.kubernetes.deployment_controller import reconcile

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying import records

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


@pytest.mark.usefixtures("deployed_once")
def test_an_unchanged_project_changes_nothing(deployer: Deployer, cluster: Cluster) -> None:
    before = {path: one["metadata"]["resourceVersion"] for path, one in cluster.objects.items()}
    cluster.written.clear()
    said = deployer()
    assert said[-2:] == ["  unchanged 7 objects", f"unchanged: render {deployer.renders[0][:12]} runs"]
    assert cluster.written == []
    assert {path: one["metadata"]["resourceVersion"] for path, one in cluster.objects.items()} == before


def test_a_render_that_gets_ready_later_is_one_to_go_back_to(deployer: Deployer, cluster: Cluster) -> None:
    cluster.statuses["sha256"] = waiting("ContainerCreating")
    with pytest.raises(StageFailed, match="not within 1 s"):
        deployer(rollout_timeout_s=1)
    cluster.statuses.clear()
    reconcile(cluster, DEPLOYMENT)
    first = deployer.renders[0][:12]
    assert deployer()[-1] == f"unchanged: render {first} runs"
    assert deployer(port=9090)[-1].endswith(f"go back: doit deploy:kubernetes --to {first}")


@pytest.mark.usefixtures("deployed_once")
def test_objects_change_before_those_that_are_no_longer_rendered_go_and_the_record_comes_last(
    deployer: Deployer, cluster: Cluster
) -> None:
    cluster.written.clear()
    said = deployer(digest="b", ingress_host="digits.example.org", network_policy=False)
    assert told(said, "create") == ["Ingress/digits"]
    assert told(said, "remove") == ["NetworkPolicy/digits"]
    done = [(method, kind, query.get("fieldManager")) for method, kind, query in cluster.written]
    applied, removed = ("apply", "Ingress", "kubectl"), ("delete", "NetworkPolicy", None)
    assert done.index(applied) < done.index(removed)
    recorded = ("apply", "Deployment", "modelyard-record")
    assert done[done.index(removed) + 1 :] == [recorded] * 2, "once when it is applied, once when its pods are ready"
    first, second = deployer.renders
    past = records.past(cluster.objects[DEPLOYMENT])
    assert [(one.render, one.was_ready) for one in past] == [(second, True), (first, True)]
    assert said[-1] == f"deployed render {second[:12]}; go back: doit deploy:kubernetes --to {first[:12]}"


@pytest.mark.usefixtures("deployed_once")
def test_a_render_whose_pods_do_not_get_ready_is_recorded_as_such_and_the_last_good_one_is_the_way_back(
    deployer: Deployer, cluster: Cluster
) -> None:
    cluster.statuses["sha256:bbbb"] = waiting("ImagePullBackOff", "no such image")
    first = deployer.renders[0]
    with pytest.raises(StageFailed, match=rf"(?s)no such image.*go back: doit deploy:kubernetes --to {first[:12]}"):
        deployer(digest="b")
    deployment = cluster.objects[DEPLOYMENT]
    assert [(one.render, one.was_ready) for one in records.past(deployment)] == [
        (deployer.renders[-1], False),
        (first, True),
    ]
