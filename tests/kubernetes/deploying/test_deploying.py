"""The real kubectl against an API on loopback: what is tried, told and changed, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import image, kubectl, managers, told

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.deploying import deploy

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_a_deploy_says_where_and_what_and_waits_for_every_pod(deployer: Deployer, cluster: Cluster) -> None:
    said = deployer(max_replicas=2)
    assert said[0].startswith("deploy:kubernetes -> context stub, server http://127.0.0.1:")
    assert said[0].endswith(" (Kubernetes v1.32.4), namespace digits")
    expected = ["ServiceAccount/digits", *(f"ConfigMap/{name}" for name in cluster.names("ConfigMap"))]
    assert told(said, "create")[:2] == expected
    assert "Deployment/digits: 2 of 2 pods are ready" in said
    assert said[-1] == f"deployed render {deployer.renders[0][:12]}"
    assert {query["fieldManager"] for _, _, query in cluster.written} == {"kubectl", "modelyard-record"}
    assert image(cluster).endswith("@sha256:" + "a" * 64)


@pytest.mark.usefixtures("deployed_once")
def test_kubectl_and_deploy_can_be_used_in_turn(deployer: Deployer, cluster: Cluster) -> None:
    folder = str(deployer.folder / deployer.render(log_level="debug"))
    kubectl("apply", "--server-side", "-k", folder)
    assert told(deployer(log_level="error", port=9090), "change") == ["Deployment/digits"]
    kubectl("apply", "--server-side", "-k", str(deployer.folder / deployer.renders[0]))
    assert deployer()[-1].startswith("deployed render")
    assert managers(cluster) == {"kubectl": "Apply", "modelyard-record": "Apply", "modelyard-replicas": "Apply"}


@pytest.mark.usefixtures("deployed_once")
def test_a_dry_run_changes_nothing_and_shows_each_line(deployer: Deployer, cluster: Cluster) -> None:
    cluster.written.clear()
    said = deployer(digest="b", options={"dry_run": True, "diff": True})
    assert told(said, "change") == ["Deployment/digits"]
    assert any("\n-" in line and "@sha256:aaaa" in line and "\n+" in line and "@sha256:bbbb" in line for line in said)
    assert said[-1] == "dry run: nothing was changed"
    assert cluster.written == []


@pytest.mark.usefixtures("deployed_once")
def test_nothing_is_applied_if_one_object_is_refused(deployer: Deployer, cluster: Cluster) -> None:
    pytest.importorskip("kubernetes_validate")
    cluster.written.clear()
    key = deployer.render(port=9090)
    service = deployer.folder / key / "30-service.yaml"
    service.write_text(service.read_text().replace("  selector:", "  selektor:"))
    with pytest.raises(
        ToolError, match=r"(?s)refuses the objects, and nothing was applied:\n  Service/digits: .*selektor"
    ):
        deploy(deployer.context(key), deployer.params())
    assert cluster.written == []
