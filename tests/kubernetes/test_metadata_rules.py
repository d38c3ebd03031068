"""Every rule of `metadata_rules` against a change of the good objects that it alone is there to find."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.changes import assert_found, assert_left_alone, broken, cases, container, kind, of, put

from modelyard.kubernetes.findings import findings
from modelyard.kubernetes.objects import Bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.kubernetes.changes import Case, Change, Objects

BROKEN: list[Case] = [
    ("recommended-labels", put(kind("Service"), "metadata", "labels")),
    ("label-syntax", put(kind("Service"), "metadata", "labels", "team", value="a b")),
    ("label-syntax", put(kind("Service"), "metadata", "labels", "on", value=True)),
    ("label-syntax", put(kind("Service"), "metadata", "annotations", value={"a b": "c"})),
    ("label-syntax", put(kind("Service"), "metadata", "annotations", value={"a": "c" * 300_000})),
    ("label-syntax", put(kind("Deployment"), "spec", "template", "metadata", "labels", "team", value="a b")),
    ("namespace", put(kind("Service"), "metadata", "namespace", value="default")),
    ("api-versions", put(kind("PodDisruptionBudget"), "apiVersion", value="policy/v1beta1")),
    ("names", put(kind("Service"), "metadata", "name", value="my.service")),
    ("names", put(kind("ConfigMap"), "metadata", "name", value="Config")),
    ("names", put(kind("ConfigMap"), "metadata", "namespace", value="a.b")),
    (
        "pod-security",
        put(kind("Namespace"), "metadata", "labels", "pod-security.kubernetes.io/enforce", value="baseline"),
    ),
    ("pod-security", put(kind("Namespace"), "metadata", "labels", "pod-security.kubernetes.io/enforce-version")),
    ("rendered", put(container, "workingDir", value="/{{ folder }}")),
    ("once", lambda objects: objects.insert(2, copy.deepcopy(of(objects, "ServiceAccount")))),
    ("order", lambda objects: objects.reverse()),
    *(
        ("recommended-labels", put(kind("Service"), "metadata", "labels", f"app.kubernetes.io/{name}"))
        for name in ("name", "instance", "version", "managed-by")
    ),
    *(
        ("pod-security", put(kind("Namespace"), "metadata", "labels", f"pod-security.kubernetes.io/{key}", value="x"))
        for key in ("audit", "warn")
    ),
    ("names", put(kind("Namespace"), "metadata", "name", value="a.b")),
    ("rendered", put(container, "workingDir", value="/{% if folder %}")),
    ("rendered", put(container, "args", value=["a", "{{ b }}"])),
    ("order", lambda objects: objects.append(objects.pop(0))),
]

ALLOWED: list[Case] = [
    ("recommended-labels", put(kind("Namespace"), "metadata", "labels", value={})),
    ("names", put(kind("ConfigMap"), "metadata", "name", value="a.b")),
    ("rendered", put(kind("ConfigMap"), "metadata", "annotations", value={"note": "{{ a }} {% b %}"})),
    ("once", lambda objects: objects.insert(2, of(objects, "ServiceAccount") | {"metadata": {"name": "digits"}})),
    ("order", lambda objects: objects.insert(0, {"apiVersion": "example.org/v1", "kind": "Other"})),
]


@pytest.mark.parametrize(("rule", "change"), cases(BROKEN))
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    assert_found(good, rule, change)


@pytest.mark.parametrize(("rule", "change"), cases(ALLOWED))
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    assert_left_alone(good, rule, change)


FIRST_NEEDED = (
    *("Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "Deployment", "HorizontalPodAutoscaler"),
    *("PodDisruptionBudget", "NetworkPolicy", "Ingress"),
)


@pytest.mark.parametrize(("first", "then"), list(itertools.pairwise(FIRST_NEEDED)))
def test_what_is_needed_first_stands_first(first: str, then: str) -> None:
    versions = {
        **dict.fromkeys(("Deployment",), "apps/v1"),
        **dict.fromkeys(("NetworkPolicy", "Ingress"), "networking.k8s.io/v1"),
        "HorizontalPodAutoscaler": "autoscaling/v2",
        "PodDisruptionBudget": "policy/v1",
    }
    pair = [{"apiVersion": versions.get(one, "v1"), "kind": one, "metadata": {"name": "a"}} for one in (first, then)]
    assert "order" not in {finding.rule for finding in broken(pair)}
    assert "order" in {finding.rule for finding in broken(pair[::-1])}


def test_what_is_wrong_with_a_pods_labels_is_told_once_of_its_owner(good: Objects) -> None:
    alone = {"name": "alone", "namespace": "digits", "labels": {"team": "a b"}}
    good.append({"apiVersion": "v1", "kind": "Pod", "metadata": alone, "spec": {}})
    template = of(good, "Deployment")["spec"]["template"]["metadata"]
    template["annotations"] = {"a b": "c"}
    template["labels"]["team"] = "a b"
    found = [finding.subject for finding in broken(good) if finding.rule == "label-syntax"]
    assert sorted(found) == ["Deployment/digits", "Deployment/digits", "Pod/alone"]


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        ("extensions/v1beta1", 16), ("apps/v1beta1", 16), ("apps/v1beta2", 16), ("networking.k8s.io/v1beta1", 22),
        ("policy/v1beta1", 25), ("autoscaling/v2beta1", 25), ("autoscaling/v2beta2", 26), ("batch/v1beta1", 25),
        ("rbac.authorization.k8s.io/v1beta1", 22), ("flowcontrol.apiserver.k8s.io/v1beta2", 29),
        ("flowcontrol.apiserver.k8s.io/v1beta3", 32), ("apps/v1", None),
    ],
)  # fmt: skip
def test_a_version_of_the_api_is_known_until_it_was_removed(version: str, gone: int | None) -> None:
    """Source: Kubernetes, "Deprecated API Migration Guide"."""
    objects: list[Mapping[str, Any]] = [{"apiVersion": version, "kind": "Thing", "metadata": {"name": "a"}}]
    for minor in range(14, 36):
        rules = [finding.rule for finding in findings(Bundle(objects, version=minor))]
        assert ("api-versions" in rules) is (gone is not None and minor >= gone), minor
