"""How many pods there are, from a fixed number to an autoscaler and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kubernetes.deployed import DEPLOYMENT, kubectl, told

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_from_a_fixed_number_to_an_autoscaler_and_back_no_pod_is_lost(deployer: Deployer, cluster: Cluster) -> None:
    deployer(replicas=4, max_replicas=4)
    cluster.replicas.clear()
    deployer(replicas=2, max_replicas=6)
    deployer(replicas=2, max_replicas=6, digest="b")
    assert set(cluster.replicas) == {4}
    kubectl("apply", "--server-side", "-k", str(deployer.folder / deployer.renders[-1]))
    assert set(cluster.replicas) == {4}
    cluster.by_hand(DEPLOYMENT, "kube-controller-manager", "spec", "replicas", value=5, subresource="scale")
    said = deployer(replicas=3, max_replicas=3, digest="b")
    assert told(said, "remove") == ["HorizontalPodAutoscaler/digits"]
    assert cluster.replicas[-1] == 3


def test_an_autoscaled_service_starts_with_as_many_pods_as_it_has_at_least(
    deployer: Deployer, cluster: Cluster
) -> None:
    assert "Deployment/digits: 3 of 3 pods are ready" in deployer(replicas=3, max_replicas=6)
    assert cluster.replicas[-1] == 3
