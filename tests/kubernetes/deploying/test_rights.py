"""Rights to one namespace are enough: those of the page, no more and no less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.docs.pages import blocks
from tests.kubernetes.deployed import NAMESPACE, told

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def role() -> list[dict[str, Any]]:
    """Return the rules of the Role on the page."""
    every = [yaml.safe_load(one.text) for one in blocks("docs/reference/targets.md", "yaml")]
    [found] = [one["rules"] for one in every if one.get("kind") == "Role"]
    return list(found)


@pytest.mark.thorough
def test_the_role_on_the_page_is_what_a_deploy_asks_for(deployer: Deployer, cluster: Cluster) -> None:
    cluster.role_in = "digits"
    outside: dict[str, Any] = {"ingress_host": "digits.example.org", "gateway": "infra/web", "gateway_ca": "our-ca"}
    assert deployer(**outside)[-1].startswith("deployed render")
    said = deployer(max_replicas=2, network_policy=False, tls=False)
    assert not [line for line in said if line.startswith("warning")]
    assert len(told(said, "remove")) == 5
    deployer(options={"to": "1"})
    keda: dict[str, Any] = {
        "scale_on": [{"type": "cron", "metadata": {"timezone": "UTC"}}],
        "scale_secrets": {"key": "broker/key"},
    }
    assert deployer(**keda)[-1].startswith("deployed render")
    jobs: dict[str, Any] = {"events_url": "redis://broker", "events_per_replica": 8, "events_jobs": 4}
    assert (
        len(told(deployer(**jobs), "create")) == 4
    )  # an autoscaler for the pods, and the Jobs and what they may reach
    [made] = [one for one in told(deployer(env={"TZ": "UTC"}, **jobs), "remove") if one.startswith("Job/")]
    assert made.startswith("Job/digits-events-setup-")
    assert deployer.take_away(yes=True)[-1].endswith(" objects; the Namespace and the Secrets are left")
    rules = role()
    for verb, group, plural in cluster.asked:
        assert any(
            verb in rule["verbs"] and group in rule["apiGroups"] and plural in rule["resources"] for rule in rules
        ), f"the page gives no right to {verb} {plural} ({group or 'core'})"
    named = {(verb, plural) for rule in rules for verb in rule["verbs"] for plural in rule["resources"]}
    assert {plural for _, plural in named} == {plural for _, _, plural in cluster.asked} | {"events"}


@pytest.mark.parametrize(("reads_namespaces", "verb"), [(False, "get"), (True, "patch")])
@pytest.mark.usefixtures("deployed_once")
def test_a_namespace_that_one_has_no_right_to_is_left_as_it_is(
    reads_namespaces: bool, verb: str, deployer: Deployer, cluster: Cluster
) -> None:
    namespace = cluster.objects[NAMESPACE]
    cluster.role_in, cluster.reads_namespaces = "digits", reads_namespaces
    said = deployer(create_namespace=True, digest="b")
    [warning] = [line for line in said if line.startswith("warning: ")]
    assert warning.startswith("warning: Namespace/digits is left as it is: Error from server (Forbidden): namespaces ")
    assert f'cannot {verb} resource "namespaces"' in warning
    assert "go back: doit deploy:kubernetes --to " in said[-1]
    assert cluster.objects[NAMESPACE] is namespace
    assert told(said, "remove") == []
