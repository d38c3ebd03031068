from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import DEPLOYMENT

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


@pytest.mark.usefixtures("deployed_once")
def test_the_record_says_what_was_deployed_by_whom(deployer: Deployer, cluster: Cluster) -> None:
    notes = cluster.objects[DEPLOYMENT]["metadata"]["annotations"]
    cause = f"digits 0.1.0: render {deployer.renders[0][:12]}, commit 0123456789, image sha256:{'a' * 12}, by ann@example.org"
    assert notes["kubernetes.io/change-cause"] == cause
    [revision] = [one for one in cluster.objects.values() if one["kind"] == "ReplicaSet"]
    assert revision["metadata"]["annotations"]["kubernetes.io/change-cause"] == cause
    others = [one for path, one in cluster.objects.items() if path != DEPLOYMENT and one["kind"] != "ReplicaSet"]
    assert not any("annotations" in one["metadata"] for one in others)
