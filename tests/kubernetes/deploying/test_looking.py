"""What a deploy looks at before it tries anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import NAMESPACE, SERVICE, image

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_an_object_that_is_not_ours_is_left_alone(deployer: Deployer, cluster: Cluster) -> None:
    cluster.add(SERVICE, spec={"ports": [{"port": 80, "protocol": "TCP"}]})
    with pytest.raises(ToolError, match=r"Service/digits: there already, and not deployed by modelyard as 'digits'"):
        deployer()
    assert cluster.written == []


@pytest.mark.usefixtures("deployed_once")
def test_another_targets_objects_are_left_alone(deployer: Deployer, cluster: Cluster) -> None:
    with pytest.raises(ToolError, match=r"deployed by the target 'kubernetes', not by 'staging'"):
        deployer(options={"target": "staging"}, digest="b")
    assert image(cluster).endswith("a" * 64)


def test_a_missing_namespace_is_named(deployer: Deployer, cluster: Cluster) -> None:
    del cluster.objects[NAMESPACE]
    with pytest.raises(
        ToolError, match=r"namespace 'digits' is not there\n  create it: kubectl create namespace digits   \(or set"
    ):
        deployer()


def test_a_namespace_among_the_objects_is_made_before_the_rest_is_tried(deployer: Deployer, cluster: Cluster) -> None:
    cluster.objects.clear()
    with pytest.raises(ToolError, match="without it the cluster can try nothing"):
        deployer(create_namespace=True, options={"dry_run": True})
    with pytest.raises(ToolError, match="Secret 'digits-auth' is not there"):
        deployer(create_namespace=True)
    assert cluster.kinds() == ["Namespace"]
