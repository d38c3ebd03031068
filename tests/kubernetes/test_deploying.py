"""The real kubectl against an API on loopback: what is asked, in which order, and what a person is told."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.api_stub import STUCK

from modelyard.errors import StageFailed, ToolError
from modelyard.kubernetes.deploying import deploy, needed_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes.api_stub import Cluster

NAMESPACE = "api/v1/namespaces/digits"


@pytest.fixture
def run(manifests: Path, cluster: Cluster) -> Any:
    """Deploy the good objects; the lines that were said."""

    def deploy_them(**params: Any) -> list[str]:
        said: list[str] = []
        deploy(manifests, project=manifests.parent, say=said.append, **{"rollout_timeout_s": 5, **params})
        return said

    return deploy_them


def test_objects_are_applied_by_the_server_under_our_name_and_waited_for(run: Any, cluster: Cluster) -> None:
    said = run()
    assert cluster.kinds()[:2] == ["Namespace", "Namespace"]
    assert set(cluster.kinds()) >= {"Deployment", "Service", "ConfigMap", "Ingress", "NetworkPolicy"}
    assert {query["fieldManager"] for _, query in cluster.applied} == {"modelyard"}
    assert {query["fieldValidation"] for _, query in cluster.applied} == {"Strict"}
    assert said[0] == "cluster answers: Kubernetes v1.32.4"
    assert "deployment.apps/digits serverside-applied" in said
    assert 'deployment "digits" successfully rolled out' in said
    assert said[-1] == "deployed out"


def test_what_runs_is_the_image_that_was_rendered(run: Any, cluster: Cluster) -> None:
    run()
    deployment = cluster.objects["apis/apps/v1/namespaces/digits/deployments/digits"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith("@sha256:" + "a" * 64)


def test_a_second_deploy_is_fine(run: Any) -> None:
    assert run()[-1] == run()[-1] == "deployed out"


def test_a_missing_secret_is_named_with_the_command_that_makes_it(run: Any, cluster: Cluster) -> None:
    del cluster.objects[f"{NAMESPACE}/secrets/digits-auth"]
    del cluster.objects[f"{NAMESPACE}/secrets/digits-tls"]
    with pytest.raises(ToolError) as caught:
        run(kube_context="stub")
    assert str(caught.value) == (
        "Secret 'digits-auth' is not there\n"
        "  kubectl --context=stub --namespace=digits create secret generic digits-auth"
        " --from-file=username=./username --from-file=password=./password\n"
        "Secret 'digits-tls' is not there\n"
        "  kubectl --context=stub --namespace=digits create secret tls digits-tls --cert=tls.crt --key=tls.key"
    )
    assert "Deployment" not in cluster.kinds()


def test_a_secret_that_lacks_a_key_is_named(run: Any, cluster: Cluster) -> None:
    cluster.objects[f"{NAMESPACE}/secrets/digits-auth"]["data"] = {"username": ""}
    with pytest.raises(
        ToolError, match=r"Secret 'digits-auth' lacks password\n  kubectl delete secret digits-auth && kubectl"
    ):
        run()


def test_a_user_who_may_not_read_secrets_can_deploy(run: Any, cluster: Cluster) -> None:
    cluster.forbidden = ("secrets",)
    said = run()
    assert any(
        line.startswith("warning: cannot look for Secret 'digits-auth'") and "forbidden" in line for line in said
    )
    assert said[-1] == "deployed out"


def test_a_missing_namespace_is_named(manifests: Path, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "without"
    shutil.copytree(manifests, folder)
    (folder / "00-namespace.yaml").unlink()
    del cluster.objects[NAMESPACE]
    with pytest.raises(
        ToolError, match=r"namespace 'digits' is not there\n  create it: kubectl create namespace digits"
    ):
        deploy(folder, project=tmp_path, say=print)


def test_a_namespace_among_the_objects_is_made_before_its_secrets_are_looked_for(run: Any, cluster: Cluster) -> None:
    cluster.objects.clear()
    with pytest.raises(ToolError, match="Secret 'digits-auth' is not there"):
        run()
    assert cluster.kinds() == ["Namespace"]


def test_another_owner_of_a_field_is_a_conflict_unless_forced(run: Any, cluster: Cluster) -> None:
    cluster.owner = "helm"
    with pytest.raises(ToolError, match='conflict with "helm"'):
        run()
    with pytest.raises(
        ToolError, match=r"the cluster refused the namespace: (?s:.*)\n  to take .* force_conflicts = true"
    ):
        run()
    assert run(force_conflicts=True)[-1] == "deployed out"
    assert {query["force"] for _, query in cluster.applied} == {"true"}


def test_pods_that_do_not_start_are_explained(run: Any, cluster: Cluster) -> None:
    cluster.status = dict(STUCK)
    labels = {"app.kubernetes.io/name": "digits", "app.kubernetes.io/instance": "digits"}
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    crashed = {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    unplaced = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    statuses = {
        "digits-a": {"containerStatuses": [{"state": waiting}]},
        "digits-b": {"containerStatuses": [crashed]},
        "digits-c": {"conditions": [unplaced]},
        "digits-d": {"conditions": [{"type": "Ready", "status": "True"}]},
        "digits-e": {"containerStatuses": [{"state": {"running": {}}, "ready": False, "restartCount": 3}]},
    }
    for name, status in statuses.items():
        cluster.add(f"{NAMESPACE}/pods/{name}", status=status)
        cluster.objects[f"{NAMESPACE}/pods/{name}"]["metadata"]["labels"] = labels
    for number, who in enumerate(("digits-a", "other-a")):
        event = {"type": "Warning", "reason": "Failed", "message": "no such image", "involvedObject": {"name": who}}
        cluster.add(f"{NAMESPACE}/events/{number}", **event)
    with pytest.raises(StageFailed) as caught:
        run(rollout_timeout_s=2)
    said = str(caught.value)
    assert said.startswith("Deployment/digits did not get ready:\n  error: ")
    assert "Pod/digits-a: ImagePullBackOff: Back-off pulling image" in said
    assert "Pod/digits-b: CrashLoopBackOff: back-off 10s; ended with code 1 (Error)" in said
    assert "Pod/digits-c: Unschedulable: 0/3 nodes are available" in said
    assert "digits-d" not in said
    assert "Pod/digits-e: runs but is not ready, restarts: 3" in said
    assert "event Failed on digits-a: no such image" in said
    assert "other-a" not in said
    assert "go back: kubectl --namespace=digits rollout undo deployment/digits" in said


def test_no_pod_at_all_is_said(run: Any, cluster: Cluster) -> None:
    cluster.status = dict(STUCK)
    with pytest.raises(StageFailed, match="no pod was made"):
        run(rollout_timeout_s=1)


def test_an_object_that_the_server_refuses_is_said_in_its_words(
    cluster: Cluster, manifests: Path, tmp_path: Path
) -> None:
    pytest.importorskip("kubernetes_validate")
    folder = tmp_path / "broken"
    shutil.copytree(manifests, folder)
    service = folder / "30-service.yaml"
    service.write_text(service.read_text().replace("  selector:", "  selektor:"))
    with pytest.raises(
        ToolError, match=r"(?s)the cluster refused the objects: .*selektor.*\n  the command was: kubectl .*apply"
    ):
        deploy(folder, project=tmp_path, say=print)


def test_a_cluster_that_does_not_answer_is_said(run: Any, cluster: Cluster) -> None:
    text = cluster.kubeconfig.read_text()
    port = text.partition("127.0.0.1:")[2].partition('"')[0]
    cluster.kubeconfig.write_text(text.replace(f":{port}", ":1"))
    with pytest.raises(ToolError, match=r"the cluster does not answer: (?s:.*)\n  see `kubectl config get-contexts`"):
        run()


def test_an_unknown_context_is_said(run: Any) -> None:
    with pytest.raises(ToolError, match=r'the cluster does not answer: error: context "nope" does not exist'):
        run(kube_context="nope")


def test_without_kubectl_the_way_to_it_is_said(
    manifests: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"kubectl is not found on PATH\n  install it"):
        deploy(manifests, project=manifests.parent, say=print)


def test_the_secrets_that_are_needed_are_read_from_the_objects(good: list[dict[str, Any]]) -> None:
    spec = next(one for one in good if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    spec["imagePullSecrets"] = [{"name": "pull"}]
    found = {one.name: (one.kind, one.keys) for one in needed_secrets(good)}
    assert found == {
        "digits-auth": ("generic", ("username", "password")),
        "digits-tls": ("tls", ("tls.crt", "tls.key")),
        "pull": ("docker-registry", (".dockerconfigjson",)),
        "digits-ingress-tls": ("tls", ("tls.crt", "tls.key")),
    }
