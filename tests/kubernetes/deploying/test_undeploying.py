from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_undeploy_removes_what_was_made_and_nothing_else(deployer: Deployer, cluster: Cluster) -> None:
    deployer(ingress_host="digits.example.org")
    with pytest.raises(
        ToolError, match="not confirmed, so nothing was removed\n  without a terminal: doit undeploy:kubernetes --yes"
    ):
        deployer.take_away()
    assert deployer.asked[0].startswith("remove 8 objects from context stub, server ")
    assert deployer.take_away(dry_run=True)[-1] == "dry run: nothing was removed"
    assert len(cluster.names("Deployment")) == 1
    assert deployer.take_away(yes=True)[-1] == "removed 8 objects; the Namespace and the Secrets are left"
    assert {one["kind"] for one in cluster.objects.values()} == {"Namespace", "Secret"}
    assert deployer.take_away(yes=True)[-1] == "nothing of 'digits' is deployed there"
