"""What others set in the objects of a deploy, with the real kubectl against an API on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.deployed import DEPLOYMENT, SERVICE, image, kubectl, managers

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


SERVER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.usefixtures("deployed_once")
def test_what_a_person_did_by_hand_is_taken_back_whole(deployer: Deployer, cluster: Cluster) -> None:
    cluster.by_hand(DEPLOYMENT, "kubectl-set", *SERVER, "image", value="elsewhere/digits:1")
    cluster.by_hand(DEPLOYMENT, "kubectl-edit", *SERVER, "env", value=[{"name": "EXTRA", "value": "1"}])
    said = deployer()
    assert any("taken over from kubectl-set and kubectl-edit" in line for line in said)
    assert image(cluster).endswith("@sha256:" + "a" * 64)
    assert "env" not in cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]
    assert deployer()[-1].endswith(" runs")


@pytest.mark.usefixtures("deployed_once")
def test_a_persons_annotations_stay(deployer: Deployer, cluster: Cluster) -> None:
    where = ("spec", "template", "metadata", "annotations")
    notes = cluster.objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"]
    cluster.by_hand(DEPLOYMENT, "kubectl-rollout", *where, value={**notes, "kubectl.kubernetes.io/restartedAt": "now"})
    assert deployer()[-1].endswith(" runs")
    deployer(digest="b")
    assert cluster.objects[DEPLOYMENT]["spec"]["template"]["metadata"]["annotations"][
        "kubectl.kubernetes.io/restartedAt"
    ]


def test_what_an_earlier_version_deployed_is_taken_over_with_what_is_no_longer_rendered(
    deployer: Deployer, cluster: Cluster
) -> None:
    folder = str(deployer.folder / deployer.render(tls=True))
    kubectl("apply", "--server-side", "--field-manager=modelyard", "-k", folder)
    deployer(tls=False)
    volumes = cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["volumes"]
    assert [volume["name"] for volume in volumes] == ["tmp", "auth"]
    assert "modelyard" not in managers(cluster)


@pytest.mark.usefixtures("deployed_once")
def test_another_tools_field_is_a_conflict_unless_forced(deployer: Deployer, cluster: Cluster) -> None:
    cluster.by_hand(SERVICE, "helm", "spec", "type", value="NodePort")
    cluster.written.clear()
    with pytest.raises(
        ToolError,
        match=r'(?s)Service/digits: .*conflict with "helm".*: \.spec\.type\n  to take .* force_conflicts = true',
    ) as caught:
        deployer(digest="b")
    assert "Please review" not in str(caught.value)
    assert cluster.written == []
    assert deployer(digest="b", force_conflicts=True)[-1].startswith("deployed render")
    assert cluster.objects[SERVICE]["spec"]["type"] == "ClusterIP"
