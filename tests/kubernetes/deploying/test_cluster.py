from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_a_cluster_that_does_not_answer_is_said(deployer: Deployer, cluster: Cluster) -> None:
    text = cluster.kubeconfig.read_text()
    port = text.partition("127.0.0.1:")[2].partition('"')[0]
    cluster.kubeconfig.write_text(text.replace(f":{port}", ":1"))
    with pytest.raises(ToolError, match=r"the cluster does not answer: (?s:.*)\n  see `kubectl config get-contexts`"):
        deployer()


def test_an_unknown_context_is_said(deployer: Deployer, cluster: Cluster) -> None:
    with pytest.raises(ToolError, match=r'the cluster does not answer: error: context "nope" does not exist'):
        deployer(kube_context="nope")
    assert cluster.written == []


def test_a_cluster_that_keeps_its_version_to_itself_is_deployed_to(deployer: Deployer, cluster: Cluster) -> None:
    cluster.forbidden = ("version",)
    said = deployer()
    assert said[0].endswith(" (Kubernetes of a version that it does not tell), namespace digits")
    assert said[-1].startswith("deployed render")
