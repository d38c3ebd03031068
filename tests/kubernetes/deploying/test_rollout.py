from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import waiting

from modelyard.errors import StageFailed
from modelyard.kubernetes.deploying import rollout

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_time_is_up_for_pods_that_do_not_get_ready(deployer: Deployer, cluster: Cluster) -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    cluster.statuses["sha256"] = {"conditions": [unplaced]}
    with pytest.raises(
        StageFailed,
        match=r"(?s)not within 1 s\n  Pod/digits-\S+, Pod/digits-\S+: Unschedulable: 0/3 nodes.*go back: doit undeploy:kubernetes",
    ) as caught:
        deployer(rollout_timeout_s=1)
    assert "look further: kubectl --namespace=digits logs -l app.kubernetes.io/" in str(caught.value)


def test_pods_that_may_not_be_made_are_told(deployer: Deployer, cluster: Cluster) -> None:
    cluster.refusal = "exceeded quota"
    with pytest.raises(StageFailed, match=r"(?s)FailedCreate: exceeded quota\n  no pod was made"):
        deployer()


def test_pods_of_one_state_are_told_on_one_line(deployer: Deployer, cluster: Cluster) -> None:
    cluster.statuses["sha256"] = waiting("ErrImagePull", "no such image")
    with pytest.raises(StageFailed) as caught:
        deployer(replicas=5, max_replicas=5)
    names = cluster.names("Pod")
    told = [line for line in deployer.said if line.startswith("  pod")]
    assert told == [f"  pods {', '.join(names[:3])} and 2 more: ErrImagePull"]
    assert str(caught.value).count("no such image") == 1
    assert f"Pod/{names[0]}, Pod/{names[1]}, Pod/{names[2]} and 2 more: ErrImagePull: no such image" in str(
        caught.value
    )


def test_the_clusters_warnings_are_told_once_while_nothing_changes(
    deployer: Deployer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "_STILL_S", 0.3)
    cluster.statuses["sha256"] = waiting("ContainerCreating")
    with pytest.raises(StageFailed, match="not within 1 s"):
        deployer(rollout_timeout_s=1)
    names = cluster.names("Pod")
    for name in names:
        event = {"type": "Warning", "reason": "FailedMount", "message": "the Secret has no key 'tls.key'"}
        cluster.add(f"api/v1/namespaces/digits/events/{name}.1", involvedObject={"name": name}, **event)
    with pytest.raises(StageFailed, match="not within 3 s"):
        deployer(rollout_timeout_s=3)
    told = [line for line in deployer.said if "FailedMount" in line]
    assert told == [f"  event FailedMount on {', '.join(names)}: the Secret has no key 'tls.key'"]
