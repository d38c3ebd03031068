from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.deployed import NAMESPACE

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.secrets import needed_secrets

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


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
