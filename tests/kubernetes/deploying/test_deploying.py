"""The real kubectl against an API on loopback: what is tried, told, changed and removed, and in which order."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from modelyard.errors import StageFailed, ToolError
from modelyard.kubernetes.deploying.deploying import deploy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer

NAMESPACE = "api/v1/namespaces/digits"
DEPLOYMENT = "apis/apps/v1/namespaces/digits/deployments/digits"
SERVICE = f"{NAMESPACE}/services/digits"
SERVER = ("spec", "template", "spec", "containers", 0)


def kubectl(*words: str) -> str:
    return subprocess.run(["kubectl", *words], check=True, capture_output=True, text=True).stdout


def told(said: list[str], how: str) -> list[str]:
    """Return the objects of which a deploy says that it creates, changes or removes them."""
    return [line.split()[1].rstrip(":") for line in said if line.startswith(f"  {how} ")]


def managers(cluster: Cluster, path: str = DEPLOYMENT) -> dict[str, str]:
    return {one["manager"]: one["operation"] for one in cluster.objects[path]["metadata"]["managedFields"]}


def image(cluster: Cluster) -> str:
    deployment = cluster.get("Deployment")
    assert deployment is not None
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


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


def test_an_unchanged_project_changes_nothing(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
    before = {path: one["metadata"]["resourceVersion"] for path, one in cluster.objects.items()}
    cluster.written.clear()
    said = deployer()
    assert said[-2:] == ["  unchanged 7 objects", f"unchanged: render {deployer.renders[0][:12]} runs"]
    assert cluster.written == []
    assert {path: one["metadata"]["resourceVersion"] for path, one in cluster.objects.items()} == before


def test_kubectl_and_deploy_can_be_used_in_turn(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
    folder = str(deployer.folder / deployer.render(log_level="debug"))
    kubectl("apply", "--server-side", "-k", folder)
    assert told(deployer(log_level="error", port=9090), "change") == ["Deployment/digits"]
    kubectl("apply", "--server-side", "-k", str(deployer.folder / deployer.renders[0]))
    assert deployer()[-1].startswith("deployed render")
    assert managers(cluster) == {"kubectl": "Apply", "modelyard-record": "Apply", "modelyard-replicas": "Apply"}


def test_a_dry_run_changes_nothing_and_shows_each_line(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
    cluster.written.clear()
    said = deployer(digest="b", options={"dry_run": True, "diff": True})
    assert told(said, "change") == ["Deployment/digits"]
    assert any("\n-" in line and "@sha256:aaaa" in line and "\n+" in line and "@sha256:bbbb" in line for line in said)
    assert said[-1] == "dry run: nothing was changed"
    assert cluster.written == []


def test_nothing_is_applied_if_one_object_is_refused(deployer: Deployer, cluster: Cluster) -> None:
    pytest.importorskip("kubernetes_validate")
    deployer()
    cluster.written.clear()
    key = deployer.render(port=9090)
    service = deployer.folder / key / "30-service.yaml"
    service.write_text(service.read_text().replace("  selector:", "  selektor:"))
    with pytest.raises(
        ToolError, match=r"(?s)refuses the objects, and nothing was applied:\n  Service/digits: .*selektor"
    ):
        deploy(deployer.context(key))
    assert cluster.written == []


# What others did to the objects


def test_what_a_person_did_by_hand_is_taken_back_whole(deployer: Deployer, cluster: Cluster) -> None:
    deployer(port=9090)
    cluster.by_hand(DEPLOYMENT, "kubectl-set", *SERVER, "image", value="elsewhere/digits:1")
    cluster.by_hand(DEPLOYMENT, "kubectl-edit", *SERVER, "env", value=[{"name": "EXTRA", "value": "1"}])
    said = deployer(port=9090)
    assert any("taken over from kubectl-set and kubectl-edit" in line for line in said)
    assert image(cluster).endswith("@sha256:" + "a" * 64)
    assert "env" not in cluster.objects[DEPLOYMENT]["spec"]["template"]["spec"]["containers"][0]
    assert deployer(port=9090)[-1].endswith(" runs")


def test_a_persons_annotations_stay(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
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


def test_another_tools_field_is_a_conflict_unless_forced(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
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


def test_an_object_that_is_not_ours_is_left_alone(deployer: Deployer, cluster: Cluster) -> None:
    cluster.add(SERVICE, spec={"ports": [{"port": 80, "protocol": "TCP"}]})
    with pytest.raises(ToolError, match=r"Service/digits: there already, and not deployed by modelyard as 'digits'"):
        deployer()
    assert cluster.written == []


def test_another_targets_objects_are_left_alone(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
    with pytest.raises(ToolError, match=r"deployed by the target 'kubernetes', not by 'staging'"):
        deployer(options={"target": "staging"}, digest="b")
    assert image(cluster).endswith("a" * 64)


# What is no longer rendered


def test_what_is_no_longer_rendered_is_removed_and_told_before(deployer: Deployer, cluster: Cluster) -> None:
    deployer(ingress_host="digits.example.org")
    said = deployer(max_replicas=2, network_policy=False, options={"dry_run": True})
    gone = ["HorizontalPodAutoscaler/digits", "Ingress/digits", "NetworkPolicy/digits"]
    assert sorted(told(said, "remove")) == gone
    assert len(cluster.names("Ingress")) == 1
    assert sorted(told(deployer(max_replicas=2, network_policy=False), "remove")) == gone
    assert cluster.names("Ingress") == cluster.names("NetworkPolicy") == []


def test_others_objects_with_the_label_of_the_manager_stay(deployer: Deployer, cluster: Cluster) -> None:
    labels = {"app.kubernetes.io/managed-by": "modelyard", "app.kubernetes.io/instance": "other"}
    cluster.add(f"{NAMESPACE}/services/other", spec={})
    cluster.objects[f"{NAMESPACE}/services/other"]["metadata"]["labels"] = labels
    deployer()
    deployer.take_away(yes=True)
    assert cluster.names("Service") == ["other"]


def test_settings_stay_as_long_as_a_revision_reads_them(deployer: Deployer, cluster: Cluster) -> None:
    for port in (9001, 9002):
        deployer(port=port)
    assert len(cluster.names("ConfigMap")) == 2
    [oldest] = [path for path, one in cluster.objects.items() if revision_of(one) == "1"]
    read = str(cluster.objects[oldest]["spec"])
    del cluster.objects[oldest]  # as the controller does beyond the revisionHistoryLimit
    deployer(port=9003)
    assert len(cluster.names("ConfigMap")) == 2
    assert not any(name in read for name in cluster.names("ConfigMap"))


def revision_of(thing: dict[str, Any]) -> str:
    """Return the revision of a ReplicaSet; empty for other objects."""
    notes = thing["metadata"].get("annotations", {}) if thing["kind"] == "ReplicaSet" else {}
    return str(notes.get("deployment.kubernetes.io/revision", ""))


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


# Going back


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


def test_one_can_go_back_to_a_revision_and_to_an_image(deployer: Deployer, cluster: Cluster) -> None:
    deployer(digest="a")
    deployer(digest="b")
    deployer(digest="b", options={"to": "1"})
    assert image(cluster).endswith("a" * 64)
    deployer(digest="a", options={"to": "sha256:bbbbbb"})
    assert image(cluster).endswith("b" * 64)
    with pytest.raises(ToolError, match=r"--to '77': is not among the Deployment's revisions\n  known: 4 \(render "):
        deployer(options={"to": "77"})


def test_the_record_says_what_was_deployed_by_whom(deployer: Deployer, cluster: Cluster) -> None:
    deployer()
    notes = cluster.objects[DEPLOYMENT]["metadata"]["annotations"]
    cause = f"digits 0.1.0: render {deployer.renders[0][:12]}, commit 0123456789, image sha256:{'a' * 12}, by ann@example.org"
    assert notes["kubernetes.io/change-cause"] == cause
    [revision] = [one for one in cluster.objects.values() if one["kind"] == "ReplicaSet"]
    assert revision["metadata"]["annotations"]["kubernetes.io/change-cause"] == cause
    others = [one for path, one in cluster.objects.items() if path != DEPLOYMENT and one["kind"] != "ReplicaSet"]
    assert not any("annotations" in one["metadata"] for one in others)


# Before anything is applied


def test_production_is_asked_about(deployer: Deployer, cluster: Cluster) -> None:
    with pytest.raises(
        ToolError, match="not confirmed, so nothing was applied\n  without a terminal: doit deploy:kubernetes --yes"
    ):
        deployer(confirm=True)
    assert deployer.asked[0].startswith("change context stub, server http://127.0.0.1:")
    assert cluster.written == []
    deployer.answer = True
    assert deployer(confirm=True)[-1].startswith("deployed render")
    deployer.answer = None
    assert deployer(confirm=True)[-1].endswith(" runs")  # nothing to ask about
    assert deployer(confirm=True, digest="b", options={"yes": True})[-1].startswith("deployed render")


def test_a_missing_secret_is_named_with_the_command_that_makes_it(deployer: Deployer, cluster: Cluster) -> None:
    del cluster.objects[f"{NAMESPACE}/secrets/digits-auth"]
    del cluster.objects[f"{NAMESPACE}/secrets/digits-tls"]
    with pytest.raises(ToolError) as caught:
        deployer(kube_context="stub")
    assert str(caught.value) == (
        "Secret 'digits-auth' is not there\n"
        "  kubectl --context=stub --namespace=digits create secret generic digits-auth"
        " --from-file=username=./username --from-file=password=./password\n"
        "Secret 'digits-tls' is not there\n"
        "  kubectl --context=stub --namespace=digits create secret tls digits-tls --cert=tls.crt --key=tls.key"
    )
    assert cluster.written == []


def test_a_secret_that_lacks_a_key_is_named(deployer: Deployer, cluster: Cluster) -> None:
    cluster.objects[f"{NAMESPACE}/secrets/digits-auth"]["data"] = {"username": ""}
    with pytest.raises(
        ToolError, match=r"Secret 'digits-auth' lacks password\n  kubectl delete secret digits-auth && kubectl"
    ):
        deployer()


def test_a_user_who_may_not_read_secrets_can_deploy(deployer: Deployer, cluster: Cluster) -> None:
    cluster.forbidden = ("secrets",)
    said = deployer()
    assert any(line.startswith("warning: cannot look for the Secrets digits-auth, digits-tls") for line in said)
    assert said[-1].startswith("deployed render")


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


# How many pods


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


# What may go wrong


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "containerStatuses": [{"name": "server", "state": {"waiting": {"reason": reason, "message": message}}, **more}]
    }


ENDED = {"lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": "listening\nTLS: not a key\n"}}}
KILLED = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (waiting("ErrImagePull", "no such image"), ["ErrImagePull: no such image"]),
        (
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            ['CreateContainerConfigError: secret "x" not found'],
        ),
        (
            waiting("CrashLoopBackOff", "back-off 10s", **ENDED),
            ["CrashLoopBackOff: back-off 10s; server ended with code 2 (Error)\n    listening\n    TLS: not a key"],
        ),
        (waiting("CrashLoopBackOff", "back-off", **KILLED), ["server ended with code 137 (OOMKilled)"]),
    ],
    ids=["pull", "config", "crash", "memory"],
)
def test_a_pod_without_hope_ends_the_wait_with_its_last_words(
    status: dict[str, Any], words: list[str], deployer: Deployer, cluster: Cluster
) -> None:
    deployer()
    cluster.statuses["sha256:bbbb"] = status
    with pytest.raises(StageFailed) as caught:
        deployer(digest="b", rollout_timeout_s=300)
    said = str(caught.value)
    assert said.startswith("Deployment/digits did not get ready:\n  Pod/digits-")
    assert all(word in said for word in words)
    assert f"  go back: doit deploy:kubernetes --to {deployer.renders[0][:12]}" in said
    # a deploy that mends it is not judged by what went before
    assert deployer(digest="c")[-1].endswith(f"; go back: doit deploy:kubernetes --to {deployer.renders[0][:12]}")


def test_time_is_up_for_pods_that_do_not_get_ready(deployer: Deployer, cluster: Cluster) -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    cluster.statuses["sha256"] = {"conditions": [unplaced]}
    with pytest.raises(
        StageFailed,
        match=r"(?s)not within 1 s\n  Pod/digits-\S+: Unschedulable: 0/3 nodes.*go back: doit undeploy:kubernetes",
    ) as caught:
        deployer(rollout_timeout_s=1)
    assert "look further: kubectl --namespace=digits logs -l app.kubernetes.io/" in str(caught.value)


def test_warnings_of_the_cluster_about_the_new_pods_are_told(deployer: Deployer, cluster: Cluster) -> None:
    cluster.statuses["sha256"] = waiting("ErrImagePull")
    with pytest.raises(StageFailed):
        deployer()
    [pod] = cluster.names("Pod")
    for number, who in enumerate((pod, "other-a")):
        event = {"type": "Warning", "reason": "Failed", "message": f"of {who}", "involvedObject": {"name": who}}
        cluster.add(f"{NAMESPACE}/events/{number}", **event)
    with pytest.raises(StageFailed, match=f"event Failed on {pod}: of {pod}") as caught:
        deployer()
    assert "other-a" not in str(caught.value)


def test_pods_that_may_not_be_made_are_told(deployer: Deployer, cluster: Cluster) -> None:
    cluster.refusal = "exceeded quota"
    with pytest.raises(StageFailed, match=r"(?s)FailedCreate: exceeded quota\n  no pod was made"):
        deployer()


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


def test_without_kubectl_the_way_to_it_is_said(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("kubectl") is None
    with pytest.raises(ToolError, match=r"kubectl is not found on PATH\n  install it"):
        deployer()
