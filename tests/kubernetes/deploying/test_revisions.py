"""Going back to what was deployed before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import DEPLOYMENT, SERVICE, image

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


@pytest.mark.thorough
def test_the_way_back_that_is_printed_works(deployer: Deployer, cluster: Cluster) -> None:
    deployer(ingress_host="digits.example.org")
    first = cluster.objects[DEPLOYMENT]["spec"]
    said = deployer(port=9090, tls=False, auth=False)
    assert said[-1].endswith(f"; go back: doit deploy:kubernetes --to {deployer.renders[0][:12]}")
    back = said[-1].rpartition("--to ")[2]
    said = deployer(port=9090, tls=False, auth=False, options={"to": back})
    assert said[0] == f"back to render {deployer.renders[0][:12]} of 2026-11-28T10:00:00, commit 0123456789"
    assert "  create    Ingress/digits" in said
    assert cluster.objects[DEPLOYMENT]["spec"] == first
    assert cluster.objects[SERVICE]["spec"]["ports"][0]["port"] == 443


@pytest.mark.usefixtures("deployed_once")
def test_one_can_go_back_to_a_revision_and_to_an_image(deployer: Deployer, cluster: Cluster) -> None:
    deployer(digest="b")
    deployer(digest="b", options={"to": "1"})
    assert image(cluster).endswith("a" * 64)
    deployer(digest="a", options={"to": "sha256:bbbbbb"})
    assert image(cluster).endswith("b" * 64)
    with pytest.raises(ToolError, match=r"--to '77': is not among the Deployment's revisions\n  known: 4 \(render "):
        deployer(options={"to": "77"})
