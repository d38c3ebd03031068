"""Every rule of `wiring_rules` against a change of the good objects that it alone is there to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.changes import (
    JOB,
    add,
    assert_found,
    assert_left_alone,
    both,
    broken,
    cases,
    container,
    drop,
    kind,
    more,
    of,
    pod,
    put,
)

from modelyard.kubernetes.checking import check

if TYPE_CHECKING:
    from tests.kubernetes.changes import Case, Change, Objects

KEDA = {"scaleTargetRef": {"name": "digits"}, "minReplicaCount": 2, "maxReplicaCount": 6}
ENDS = ("ttlSecondsAfterFinished", "backoffLimit", "activeDeadlineSeconds")

BROKEN: list[Case] = [
    ("replicas", drop("HorizontalPodAutoscaler")),
    ("replicas-or-autoscaler", put(kind("Deployment"), "spec", "replicas", value=2)),
    ("rolling-update", put(kind("Deployment"), "spec", "strategy", value={"type": "Recreate"})),
    ("budget-exists", drop("PodDisruptionBudget")),
    ("budget-allows", put(kind("PodDisruptionBudget"), "spec", "maxUnavailable", value=0)),
    ("budget-allows", put(kind("PodDisruptionBudget"), "spec", "selector", "matchLabels", value={"app": "other"})),
    (
        "budget-allows",
        both(
            put(kind("PodDisruptionBudget"), "spec", "maxUnavailable"),
            put(kind("PodDisruptionBudget"), "spec", "minAvailable", value=2),
        ),
    ),
    ("budget-unhealthy", put(kind("PodDisruptionBudget"), "spec", "unhealthyPodEvictionPolicy")),
    ("spread", put(pod, "topologySpreadConstraints")),
    ("one-autoscaler", add(apiVersion="keda.sh/v1alpha1", kind="ScaledObject", spec=KEDA)),
    (
        "autoscaler-target",
        both(
            drop("HorizontalPodAutoscaler"),
            add(apiVersion="keda.sh/v1alpha1", kind="ScaledObject", spec={**KEDA, "maxReplicaCount": 2}),
        ),
    ),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "name", value="other")),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "maxReplicas", value=2)),
    ("autoscaler-floor", put(kind("HorizontalPodAutoscaler"), "spec", "minReplicas", value=1)),
    ("rollout-bounds", put(kind("Deployment"), "spec", "revisionHistoryLimit")),
    ("selector-matches", put(kind("Deployment"), "spec", "template", "metadata", "labels", value={"app": "other"})),
    (
        "stable-selector",
        put(kind("Deployment"), "spec", "selector", "matchLabels", "app.kubernetes.io/version", value="0.1.0"),
    ),
    ("service-selects", put(kind("Service"), "spec", "selector", value={"app": "other"})),
    ("service-selects", lambda objects: of(objects, "Service")["spec"]["ports"][0].update(targetPort=9000)),
    ("cluster-ip", put(kind("Service"), "spec", "type", value="NodePort")),
    ("ingress-backend", put(kind("Service"), "metadata", "name", value="other")),
    ("ingress-backend", lambda objects: of(objects, "Service")["spec"]["ports"][0].update(name="web")),
    ("ingress-tls", put(kind("Ingress"), "spec", "tls")),
    ("network-policy", drop("NetworkPolicy")),
    ("network-policy", put(kind("NetworkPolicy"), "spec", "policyTypes", value=["Ingress"])),
    ("config-exists", drop("ConfigMap")),
    ("config-exists", more(pod, "volumes", {"name": "more", "configMap": {"name": "other"}})),
    (
        "monitor-selects",
        add(
            apiVersion="monitoring.coreos.com/v1", kind="ServiceMonitor", spec={"selector": {"matchLabels": {"a": "b"}}}
        ),
    ),
    ("no-service-links", put(pod, "enableServiceLinks")),
    ("job-ends", add(apiVersion="batch/v1", kind="Job", spec=JOB)),
    ("replicas", both(drop("HorizontalPodAutoscaler"), put(kind("Deployment"), "spec", "replicas", value=1))),
    ("replicas", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "kind", value="StatefulSet")),
    *(
        ("rolling-update", put(kind("Deployment"), "spec", "strategy", value={"rollingUpdate": update}))
        for update in ({}, {"maxUnavailable": 1}, {"maxUnavailable": "25%"})
    ),
    ("budget-exists", put(kind("PodDisruptionBudget"), "spec", "selector", "matchLabels", value={"app": "other"})),
    ("budget-allows", put(kind("PodDisruptionBudget"), "spec", "maxUnavailable", value="0%")),
    ("budget-allows", put(kind("PodDisruptionBudget"), "spec", "minAvailable", value="100%")),
    (
        "budget-allows",
        both(
            drop("HorizontalPodAutoscaler"),
            put(kind("Deployment"), "spec", "replicas", value=3),
            put(kind("PodDisruptionBudget"), "spec", "minAvailable", value=3),
        ),
    ),
    (
        "budget-allows",
        both(drop("HorizontalPodAutoscaler"), put(kind("PodDisruptionBudget"), "spec", "minAvailable", value=1)),
    ),
    ("spread", put(pod, "topologySpreadConstraints", value=[{"labelSelector": {"matchLabels": {"app": "other"}}}])),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "kind", value="StatefulSet")),
    ("autoscaler-floor", put(kind("HorizontalPodAutoscaler"), "spec", "minReplicas")),
    ("rollout-bounds", put(kind("Deployment"), "spec", "progressDeadlineSeconds")),
    *(
        ("stable-selector", put(kind("Deployment"), "spec", "selector", "matchLabels", key, value="1"))
        for key in ("helm.sh/chart", "version")
    ),
    ("service-selects", lambda objects: of(objects, "Service")["spec"].update(ports=[{"port": 80}])),
    (
        "ingress-backend",
        put(kind("Ingress"), "spec", "defaultBackend", value={"service": {"name": "digits", "port": {"number": 9}}}),
    ),
    ("ingress-backend", put(kind("Ingress"), "spec", "defaultBackend", value={"service": {"name": "other"}})),
    ("ingress-tls", put(kind("Ingress"), "spec", "tls", value=[{"hosts": ["other.example.org"]}])),
    ("network-policy", put(kind("NetworkPolicy"), "spec", "policyTypes", value=["Egress"])),
    ("network-policy", put(kind("NetworkPolicy"), "spec", "podSelector", "matchLabels", value={"app": "other"})),
    ("config-exists", more(container, "envFrom", {"configMapRef": {"name": "other"}})),
    (
        "config-exists",
        more(container, "env", {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "other", "key": "a"}}}),
    ),
    *(
        ("job-ends", add(apiVersion="batch/v1", kind="Job", spec={key: 1 for key in ENDS if key != missing} | JOB))
        for missing in ENDS
    ),
    ("replicas", add(apiVersion="apps/v1", kind="StatefulSet", spec={"template": {}})),
    ("replicas", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "name", value="other")),
    (
        "rolling-update",
        put(
            *(kind("Deployment"), "spec", "strategy"),
            value={"type": "Recreate", "rollingUpdate": {"maxUnavailable": 0}},
        ),
    ),
]

ALLOWED: list[Case] = [
    ("replicas", both(drop("HorizontalPodAutoscaler"), put(kind("Deployment"), "spec", "replicas", value=2))),
    ("replicas", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "kind")),
    (
        "replicas-or-autoscaler",
        both(drop("HorizontalPodAutoscaler"), put(kind("Deployment"), "spec", "replicas", value=2)),
    ),
    (
        "rolling-update",
        put(kind("Deployment"), "spec", "strategy", value={"rollingUpdate": {"maxUnavailable": "0%"}}),
    ),
    (
        "budget-allows",
        both(
            put(kind("PodDisruptionBudget"), "spec", "maxUnavailable"),
            put(kind("PodDisruptionBudget"), "spec", "minAvailable", value=1),
        ),
    ),
    ("spread", both(put(pod, "topologySpreadConstraints"), put(pod, "affinity", value={"podAntiAffinity": {"a": 1}}))),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "maxReplicas", value=3)),
    (
        "selector-matches",
        put(kind("Deployment"), "spec", "selector", value={"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
    ),
    ("service-selects", put(kind("Service"), "spec", "selector")),
    (
        "service-selects",
        both(
            put(kind("Service"), "spec", "selector", value={"app": "other"}),
            put(kind("Service"), "spec", "type", value="ExternalName"),
        ),
    ),
    ("service-selects", lambda objects: of(objects, "Service")["spec"].update(ports=[{"port": 8080}])),
    (
        "service-selects",
        lambda objects: of(objects, "Service")["spec"].update(ports=[{"port": 80, "targetPort": 8080}]),
    ),
    (
        "ingress-backend",
        put(kind("Ingress"), "spec", "defaultBackend", value={"resource": {"kind": "Bucket", "name": "static"}}),
    ),
    ("config-exists", more(container, "envFrom", {"configMapRef": {"name": "other", "optional": True}})),
    (
        "monitor-selects",
        add(
            apiVersion="monitoring.coreos.com/v1",
            kind="ServiceMonitor",
            spec={"selector": {"matchLabels": {"app.kubernetes.io/name": "digits"}}},
        ),
    ),
    ("job-ends", add(apiVersion="batch/v1", kind="Job", spec=dict.fromkeys(ENDS, 0) | JOB)),
    (
        "replicas",
        both(
            drop("HorizontalPodAutoscaler"),
            add(apiVersion="keda.sh/v1alpha1", kind="ScaledObject", spec=KEDA),
        ),
    ),
    *(
        (
            "budget-allows",
            both(
                drop("HorizontalPodAutoscaler"),
                *more_changes,
                put(kind("PodDisruptionBudget"), "spec", "minAvailable", value=least),
            ),
        )
        for least, more_changes in ((0, ()), (2, (put(kind("Deployment"), "spec", "replicas", value=3),)))
    ),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "minReplicas")),
    ("autoscaler-target", put(kind("HorizontalPodAutoscaler"), "spec", "maxReplicas")),
]


@pytest.mark.parametrize(("rule", "change"), cases(BROKEN))
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    assert_found(good, rule, change)


@pytest.mark.parametrize(("rule", "change"), cases(ALLOWED))
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    assert_left_alone(good, rule, change)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("service-selects", put(kind("Service"), "spec", "selector", value={"app": "other"})),
        ("ingress-backend", put(kind("Service"), "metadata", "name", value="other")),
    ],
)
def test_of_what_is_not_there_no_more_is_said(good: Objects, rule: str, change: Change) -> None:
    change(good)
    assert len([finding for finding in broken(good) if finding.rule == rule]) == 1


def test_objects_of_another_group_are_not_taken_for_kubernetes_own(good: Objects) -> None:
    labels = of(good, "Service")["metadata"]["labels"]
    metadata = {"name": "other", "namespace": "digits", "labels": labels}
    good.append(
        {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"a": "b"}},
        }
    )
    assert check(good) == []
