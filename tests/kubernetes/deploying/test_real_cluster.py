"""The same against a real API server and its controllers: what only they can say of fields, managers and generations.

MODELYARD_TEST_KUBECONFIG names a kubeconfig whose user may make namespaces. Each test has a namespace of its own, which goes
with it. No node is needed: nothing here waits for a pod to get ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.conftest import Deployer
from tests.standins.tls import certificate

from modelyard.errors import StageFailed, ToolError
from modelyard.kubernetes.deploying.deploying import deploy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KUBECONFIG = os.environ.get("MODELYARD_TEST_KUBECONFIG", "")

pytestmark = pytest.mark.skipif(
    not KUBECONFIG, reason="needs a cluster: MODELYARD_TEST_KUBECONFIG does not name a kubeconfig"
)


class Real:
    """A namespace of a real cluster, and what is deployed into it."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.deployer = Deployer(folder, namespace)
        self.namespace = namespace

    def kubectl(self, *words: str) -> str:
        command = ["kubectl", f"--namespace={self.namespace}", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def get(self, what: str, name: str = "digits") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.kubectl("get", what, name, "-o", "json", "--ignore-not-found", "--show-managed-fields") or "{}"
        )
        return found

    def deploy(self, **params: Any) -> list[str]:
        """Deploy, and wait a moment only: there may be no node."""
        with contextlib.suppress(StageFailed):
            self.deployer(rollout_timeout_s=1, **params)
        return self.deployer.said

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("deployment")["spec"]["template"]["spec"]["containers"][0]
        return found

    @property
    def folder(self) -> str:
        """The files of the last render."""
        return str(self.deployer.folder / self.deployer.renders[-1])


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    monkeypatch.setenv("KUBECONFIG", KUBECONFIG)
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "cache"))
    name = f"modelyard-test-{uuid.uuid4().hex[:8]}"
    made = Real(tmp_path / "renders", name)
    subprocess.run(["kubectl", "create", "namespace", name], check=True, capture_output=True)
    certificate(tmp_path)
    made.kubectl("create", "secret", "generic", "digits-auth", "--from-literal=username=u", "--from-literal=password=p")
    for secret in ("digits-tls", "digits-ingress-tls"):
        made.kubectl("create", "secret", "tls", secret, f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key")
    yield made
    subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=False, capture_output=True)


def test_a_deploy_leaves_no_difference_and_a_second_one_nothing_to_do(real: Real) -> None:
    real.deploy(ingress_host="digits.example.org")
    subprocess.run(["kubectl", "diff", "--server-side", "-k", real.folder], check=True)
    kinds = ("networkpolicy", "service", "ingress", "hpa", "pdb")
    before = {kind: real.get(kind)["metadata"]["resourceVersion"] for kind in kinds if kind not in ("hpa", "pdb")}
    generations = {kind: real.get(kind)["metadata"].get("generation") for kind in (*kinds, "deployment")}
    real.kubectl("apply", "--server-side", "-k", real.folder)
    assert "  unchanged 8 objects" in real.deploy(ingress_host="digits.example.org")
    assert {kind: real.get(kind)["metadata"]["resourceVersion"] for kind in before} == before
    assert {kind: real.get(kind)["metadata"].get("generation") for kind in generations} == generations


def test_nothing_is_applied_if_one_object_is_refused(real: Real) -> None:
    real.deploy()
    key = real.deployer.render(port=9090)
    service = real.deployer.folder / key / "30-service.yaml"
    service.write_text(service.read_text().replace("  selector:", "  selektor:"))
    with pytest.raises(ToolError, match=r"nothing was applied:\n  Service/digits: .*selektor"):
        deploy(real.deployer.context(key), real.deployer.params())
    assert real.container["ports"][0]["containerPort"] == 8080
    assert (
        len(json.loads(real.kubectl("get", "configmaps", "-l", "app.kubernetes.io/instance", "-o", "json"))["items"])
        == 1
    )


def test_what_was_done_by_hand_is_taken_back(real: Real) -> None:
    real.deploy()
    real.deploy(port=9090, tls=False)
    real.kubectl("rollout", "undo", "deployment/digits")
    real.kubectl("set", "image", "deployment/digits", "server=elsewhere/digits:1")
    real.kubectl("set", "env", "deployment/digits", "EXTRA=1")
    said = real.deploy(port=9090, tls=False)
    assert any("taken over from" in line and "kubectl-set" in line for line in said)
    assert real.container["image"].endswith("a" * 64)
    assert "env" not in real.container
    volumes = real.get("deployment")["spec"]["template"]["spec"]["volumes"]
    assert [volume["name"] for volume in volumes] == ["tmp", "auth"]
    assert "  unchanged 7 objects" in real.deploy(port=9090, tls=False)


def test_what_an_earlier_version_deployed_is_taken_over(real: Real) -> None:
    real.deployer.render(port=9090)
    real.kubectl("apply", "--server-side", "--field-manager=modelyard", "-k", real.folder)
    said = real.deploy(options={"dry_run": True})
    assert "  Deployment/digits: can be tried only when what modelyard set is taken over" in said
    real.deploy(tls=False)
    assert [port["containerPort"] for port in real.container["ports"]] == [8080]
    volumes = real.get("deployment")["spec"]["template"]["spec"]["volumes"]
    assert [volume["name"] for volume in volumes] == ["tmp", "auth"]


def test_one_can_go_back_to_a_revision_with_its_settings(real: Real) -> None:
    real.deploy(ingress_host="digits.example.org")
    first = real.get("deployment")["spec"]
    assert "  remove    Ingress/digits: no longer rendered" in real.deploy(port=9090, tls=False, auth=False)
    assert real.get("ingress") == {}
    with contextlib.suppress(StageFailed):
        real.deployer(rollout_timeout_s=1, port=9090, options={"to": "1"})
    assert real.get("deployment")["spec"] == first
    assert real.get("ingress")["spec"]["rules"][0]["host"] == "digits.example.org"
    read = first["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    assert real.get("configmap", read)["data"]["MODELYARD_PORT"] == "8080"
    history = real.kubectl("rollout", "history", "deployment/digits")
    assert "by ann@example.org" in history.splitlines()[-2] + history.splitlines()[-1]


def test_no_pod_is_lost_on_the_way_to_an_autoscaler(real: Real) -> None:
    real.deploy(replicas=4, max_replicas=4)
    for params in ({}, {"digest": "b"}):
        real.deploy(replicas=2, max_replicas=6, **params)
        assert real.get("deployment")["spec"]["replicas"] == 4
    real.kubectl("apply", "--server-side", "-k", real.folder)
    assert real.get("deployment")["spec"]["replicas"] == 4
    assert "  remove    HorizontalPodAutoscaler/digits: no longer rendered" in real.deploy(replicas=3, max_replicas=3)
    assert real.get("deployment")["spec"]["replicas"] == 3


def test_another_tools_field_is_a_conflict(real: Real) -> None:
    real.deploy()
    ports = [{"port": 443, "protocol": "TCP", "name": "https", "targetPort": 77}]
    thing = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "digits"}, "spec": {"ports": ports}}
    words = ["kubectl", f"--namespace={real.namespace}", "apply", "--server-side", "--force-conflicts"]
    subprocess.run([*words, "--field-manager=helm", "-f", "-"], input=json.dumps(thing), text=True, check=True)
    with pytest.raises(ToolError, match=r'(?s)nothing was applied:\n  Service/digits: .*conflict with "helm"'):
        real.deploy(digest="b")
    assert real.container["image"].endswith("a" * 64)


def test_undeploy_leaves_nothing_of_the_service(real: Real) -> None:
    real.deploy(ingress_host="digits.example.org")
    assert real.deployer.take_away(yes=True)[-1] == "removed 8 objects; the Namespace and the Secrets are left"
    for _ in range(20):
        left = real.kubectl(
            "get", "all,configmaps,ingresses,networkpolicies", "-l", "app.kubernetes.io/instance=digits"
        )
        if not left.strip():
            break
        time.sleep(0.5)
    assert not left.strip()
    assert real.get("secret", "digits-auth")
