"""Every rule against a change of the good objects that it alone is there to find."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.kubernetes.checking import check
from modelyard.kubernetes.findings import RULES, Finding, findings
from modelyard.kubernetes.objects import Bundle
from modelyard.kubernetes.parameters import SERVER_MEMORY

Objects = list[dict[str, Any]]
Change = Callable[[Objects], None]

IMAGE = "registry.example/team/digits:0.1.0@sha256:" + "a" * 64


def broken(objects: Objects) -> list[Finding]:
    """What the rules say, without the schema, which is slow and has tests of its own."""
    return findings(Bundle(objects, image=IMAGE))


def of(objects: Objects, kind: str) -> dict[str, Any]:
    return next(one for one in objects if one["kind"] == kind)


def pod(objects: Objects) -> dict[str, Any]:
    return of(objects, "Deployment")["spec"]["template"]["spec"]


def container(objects: Objects) -> dict[str, Any]:
    return pod(objects)["containers"][0]


def put(where: Callable[[Objects], dict[str, Any]], *path: str, value: Any = None) -> Change:
    """Return a change that sets what is at `path` to `value`, or removes it."""

    def change(objects: Objects) -> None:
        target = where(objects)
        for key in path[:-1]:
            target = target.setdefault(key, {})
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = copy.deepcopy(value)

    return change


def kind(name: str) -> Callable[[Objects], dict[str, Any]]:
    return lambda objects: of(objects, name)


def drop(name: str) -> Change:
    return lambda objects: objects.remove(of(objects, name))


def add(**thing: Any) -> Change:
    meta = {"name": "extra", "namespace": "digits"}
    return lambda objects: objects.append({"metadata": meta, **copy.deepcopy(thing)})


def both(*changes: Change) -> Change:
    def change(objects: Objects) -> None:
        for one in changes:
            one(objects)

    return change


def more(where: Callable[[Objects], dict[str, Any]], key: str, value: Any) -> Change:
    return lambda objects: where(objects).setdefault(key, []).append(copy.deepcopy(value))


JOB = {"template": {"spec": {"containers": [{"name": "a", "image": IMAGE}], "restartPolicy": "Never"}}}
ENDS = ("ttlSecondsAfterFinished", "backoffLimit", "activeDeadlineSeconds")
SLEEP = ("lifecycle", "preStop", "sleep", "seconds")
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}

BROKEN: list[tuple[str, Change]] = [
    (
        "run-as-non-root",
        both(put(pod, "securityContext", "runAsNonRoot"), put(container, "securityContext", "runAsNonRoot")),
    ),
    ("run-as-non-root", put(container, "securityContext", "runAsNonRoot", value=False)),
    ("numeric-user", put(pod, "securityContext", "runAsUser")),
    ("numeric-user", put(container, "securityContext", "runAsGroup", value=0)),
    ("high-user", put(pod, "securityContext", "runAsUser", value=1000)),
    ("no-privilege-escalation", put(container, "securityContext", "allowPrivilegeEscalation")),
    ("no-privileged", put(container, "securityContext", "privileged", value=True)),
    ("drop-capabilities", put(container, "securityContext", "capabilities", value={"drop": ["NET_RAW"]})),
    (
        "drop-capabilities",
        put(container, "securityContext", "capabilities", value={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    ),
    ("read-only-root", put(container, "securityContext", "readOnlyRootFilesystem", value=False)),
    ("bounded-scratch", more(pod, "volumes", {"name": "more", "emptyDir": {}})),
    ("seccomp", put(container, "securityContext", "seccompProfile", "type", value="Unconfined")),
    ("no-host-namespaces", put(pod, "hostNetwork", value=True)),
    ("no-host-namespaces", put(pod, "hostPID", value=True)),
    ("volume-types", more(pod, "volumes", {"name": "more", "hostPath": {"path": "/var/run/docker.sock"}})),
    ("no-host-port", lambda objects: container(objects)["ports"][0].update(hostPort=8080)),
    ("confined", put(container, "securityContext", "procMount", value="Unmasked")),
    ("confined", put(pod, "securityContext", "windowsOptions", value={"hostProcess": True})),
    ("confined", put(pod, "securityContext", "appArmorProfile", value={"type": "Unconfined"})),
    ("confined", put(pod, "securityContext", "seLinuxOptions", value={"user": "root"})),
    ("safe-sysctls", put(pod, "securityContext", "sysctls", value=[{"name": "kernel.msgmax", "value": "1"}])),
    ("no-probe-host", put(container, "livenessProbe", "httpGet", "host", value="example.org")),
    ("own-service-account", put(pod, "serviceAccountName", value="default")),
    ("service-account-exists", put(pod, "serviceAccountName", value="other")),
    ("no-token", put(pod, "automountServiceAccountToken")),
    ("no-token-account", put(kind("ServiceAccount"), "automountServiceAccountToken")),
    ("no-deprecated-account", put(pod, "serviceAccount", value="digits")),
    ("no-secret-values", put(kind("ConfigMap"), "data", "DB_PASSWORD", value="x")),
    ("no-secret-values", add(apiVersion="v1", kind="Secret", stringData={"a": "x"})),
    ("no-secret-environment", more(container, "env", {"name": "API_KEY", "value": "x"})),
    (
        "no-secret-environment",
        more(container, "env", {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    ),
    ("no-secret-environment", more(container, "envFrom", {"secretRef": {"name": "s"}})),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": ["*"], "resources": ["configmaps"], "verbs": ["get"]}])),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}])),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}])),
    (
        "no-cluster-admin",
        add(
            **BINDING, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        ),
    ),
    ("volume-group", put(pod, "securityContext", "fsGroup")),
    ("explicit-tag", put(container, "image", value="registry.example:5000/other")),
    ("tag-beside-digest", put(container, "image", value="registry.example:5000/other@sha256:" + "a" * 64)),
    ("tag-beside-digest", put(container, "image", value=f"{IMAGE.partition(':')[0]}@{IMAGE.partition('@')[2]}")),
    ("explicit-tag", put(container, "image", value="other:latest@sha256:" + "a" * 64)),
    ("image-digest", put(container, "image", value="other:1.0")),
    ("pull-policy", put(container, "imagePullPolicy")),
    ("image-is-built", put(container, "image", value=IMAGE.replace("a" * 64, "d" * 64))),
    ("resources", put(container, "resources", "limits", "memory")),
    ("resources", put(container, "resources", "requests", "cpu")),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_MAX_BODY_BYTES", value=str(64 * 2**20))),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="3")),
    ("body-fits-memory", more(container, "env", {"name": "MODELYARD_WORKERS", "value": "4"})),
    ("cpu-limit", put(container, "resources", "limits", "cpu")),
    ("memory-as-requested", put(container, "resources", "limits", "memory", value="1Gi")),
    ("ephemeral-storage", put(container, "resources", "limits", "ephemeral-storage")),
    ("quantities", put(container, "resources", "limits", "memory", value="256 MB")),
    ("quantities", put(container, "resources", "requests", "cpu", value="2")),
    ("quantities", put(container, "resources", "requests", "cpu", value="-1")),
    ("scratch-quantities", lambda objects: pod(objects)["volumes"][0].update(emptyDir={"sizeLimit": "much"})),
    ("gpu-in-limits", put(container, "resources", "requests", "nvidia.com/gpu", value="1")),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="500m")),
    ("probes", put(container, "readinessProbe")),
    ("startup-probe", put(container, "startupProbe")),
    ("probes-differ", lambda o: container(o).update(livenessProbe=container(o)["readinessProbe"])),
    ("probe-port", put(container, "readinessProbe", "httpGet", "port", value="metrics")),
    ("probe-timing", put(container, "readinessProbe", "timeoutSeconds")),
    ("stop-in-time", put(container, "lifecycle", "preStop", "sleep", "seconds", value=60)),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=443)),
    ("port-names", more(container, "ports", {"name": "https", "containerPort": 9000})),
    ("port-names", more(container, "ports", {"name": "a-name-that-is-too-long", "containerPort": 9000})),
    ("variables-once", lambda objects: container(objects).update(env=[{"name": "A", "value": "1"}] * 2)),
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
    ("numeric-user", put(container, "securityContext", "runAsUser", value="10001")),
    ("numeric-user", put(container, "securityContext", "runAsUser", value=True)),
    ("high-user", put(container, "securityContext", "runAsGroup", value=10000)),
    ("high-user", put(container, "securityContext", "runAsUser", value=1)),
    ("drop-capabilities", put(container, "securityContext", "capabilities")),
    (
        "seccomp",
        both(put(pod, "securityContext", "seccompProfile"), put(container, "securityContext", "seccompProfile")),
    ),
    ("no-host-namespaces", put(pod, "hostIPC", value=True)),
    ("confined", put(container, "securityContext", "seLinuxOptions", value={"role": "sysadm_r"})),
    *(
        ("no-probe-host", put(container, *path, value={"host": "example.org", "port": 8080}))
        for path in (
            ("readinessProbe", "httpGet"),
            ("startupProbe", "tcpSocket"),
            ("lifecycle", "preStop", "httpGet"),
            ("lifecycle", "postStart", "tcpSocket"),
        )
    ),
    ("own-service-account", put(pod, "serviceAccountName")),
    ("no-secret-values", put(kind("ConfigMap"), "binaryData", value={"api-key": "eA=="})),
    ("no-secret-values", add(apiVersion="v1", kind="Secret", data={"a": "eA=="})),
    *(
        ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": [name], "verbs": ["get"]}]))
        for name in ("*", "pods/exec", "pods/attach")
    ),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}])),
    *(
        (
            "volume-group",
            both(put(pod, "securityContext", "fsGroup"), put(pod, "volumes", value=[{"name": "a", which: {}}])),
        )
        for which in ("secret", "emptyDir", "persistentVolumeClaim", "projected", "ephemeral")
    ),
    ("explicit-tag", put(container, "image", value="registry.example:5000/other:latest")),
    ("image-is-built", put(container, "image", value="registry.example/team/digits:0.2.0")),
    ("image-is-built", put(container, "image", value="registry.example/team/digits")),
    ("resources", put(container, "resources", "requests", "memory")),
    ("memory-as-requested", put(container, "resources", "requests", "memory", value="1Mi")),
    ("ephemeral-storage", put(container, "resources", "requests", "ephemeral-storage")),
    ("quantities", put(container, "resources", "requests", "memory", value="2Ti")),
    ("gpu-in-limits", put(container, "resources", "limits", "amd.com/gpu", value="1.5")),
    ("probes", put(container, "livenessProbe")),
    ("probe-port", put(container, "startupProbe", "grpc", value={"port": 9000})),
    ("probe-port", put(container, "livenessProbe", "tcpSocket", value={"port": "metrics"})),
    *(
        ("probe-timing", put(container, probe, key))
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for key in ("periodSeconds", "failureThreshold")
    ),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds"), put(container, *SLEEP, value=30))),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds", value=9), put(container, *SLEEP, value=9))),
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
    ("replicas", add(apiVersion="apps/v1", kind="StatefulSet", spec={"template": {}})),
    ("replicas", put(kind("HorizontalPodAutoscaler"), "spec", "scaleTargetRef", "name", value="other")),
    (
        "rolling-update",
        put(
            *(kind("Deployment"), "spec", "strategy"),
            value={"type": "Recreate", "rollingUpdate": {"maxUnavailable": 0}},
        ),
    ),
    (
        "body-fits-memory",
        both(
            put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="auto"),
            put(container, "resources", "limits", "cpu", value="16"),
        ),
    ),
    (
        "body-fits-memory",
        put(kind("Deployment"), "spec", "template", "metadata", "annotations", value={SERVER_MEMORY: "10Gi"}),
    ),
    ("quantities", put(container, "resources", "requests", "cpu", value="much")),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=1023)),
]

ALLOWED: list[tuple[str, Change]] = [
    ("run-as-non-root", put(container, "securityContext", "runAsNonRoot")),  # the pod says it
    ("numeric-user", put(container, "securityContext", "runAsUser", value=1)),
    ("high-user", put(container, "securityContext", "runAsUser", value=10001)),
    (
        "drop-capabilities",
        put(container, "securityContext", "capabilities", value={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    ),
    ("seccomp", put(container, "securityContext", "seccompProfile", value={"type": "Localhost"})),
    *(
        ("volume-types", more(pod, "volumes", {"name": "more", which: {}}))
        for which in (
            *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim"),
            *("projected", "secret"),
        )
    ),
    ("confined", put(container, "securityContext", "procMount", value="Default")),
    ("confined", put(container, "securityContext", "appArmorProfile", value={"type": "RuntimeDefault"})),
    ("confined", put(container, "securityContext", "seLinuxOptions", value={"level": "s0:c1,c2"})),
    *(
        ("safe-sysctls", put(pod, "securityContext", "sysctls", value=[{"name": name, "value": "1"}]))
        for name in (
            *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
            *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
            *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
            *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
        )
    ),
    ("service-account-exists", put(pod, "serviceAccountName", value="default")),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])),
    ("narrow-roles", add(**ROLE, rules=[{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}])),
    ("no-cluster-admin", add(**BINDING, roleRef={"kind": "Role", "name": "reader"})),
    (
        "volume-group",
        both(
            put(pod, "securityContext", "fsGroup"),
            put(pod, "volumes", value=[{"name": "a", "configMap": {"name": "digits"}}]),
        ),
    ),
    ("explicit-tag", put(container, "image", value="registry.example:5000/other@sha256:" + "a" * 64)),
    ("explicit-tag", put(container, "image", value="other:1.0")),
    ("tag-beside-digest", put(container, "image", value="other")),
    *(
        ("image-is-built", put(container, "image", value=image))
        for image in (
            *(IMAGE.partition("@")[0], f"registry.example/team/digits@{IMAGE.partition('@')[2]}"),
            *("registry.example/team/digits-next:1", "other:1.0"),
        )
    ),
    ("memory-as-requested", put(container, "resources", "requests", "memory")),
    ("quantities", put(container, "resources", "requests", "hugepages-2Mi", value="0")),
    ("scratch-quantities", lambda objects: pod(objects)["volumes"][0].update(emptyDir={"sizeLimit": "1Gi"})),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="2")),
    ("probes-differ", both(put(container, "livenessProbe"), put(container, "readinessProbe"))),
    ("probe-port", put(container, "readinessProbe", "httpGet", "port", value=8080)),
    ("stop-in-time", both(put(pod, "terminationGracePeriodSeconds"), put(container, *SLEEP, value=29))),
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
    ("recommended-labels", put(kind("Namespace"), "metadata", "labels", value={})),
    ("names", put(kind("ConfigMap"), "metadata", "name", value="a.b")),
    ("rendered", put(kind("ConfigMap"), "metadata", "annotations", value={"note": "{{ a }} {% b %}"})),
    ("once", lambda objects: objects.insert(2, of(objects, "ServiceAccount") | {"metadata": {"name": "digits"}})),
    ("order", lambda objects: objects.insert(0, {"apiVersion": "example.org/v1", "kind": "Other"})),
    ("high-user", put(container, "securityContext", "runAsUser", value=0)),  # another rule's
    (
        "replicas",
        both(
            drop("HorizontalPodAutoscaler"),
            add(apiVersion="keda.sh/v1alpha1", kind="ScaledObject", spec={"scaleTargetRef": {"name": "digits"}}),
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
    ("body-fits-memory", put(container, "resources", "limits", "memory")),
    ("body-fits-memory", put(kind("ConfigMap"), "data", "MODELYARD_MAX_BODY_BYTES", value="many")),
    (
        "body-fits-memory",
        both(
            put(kind("ConfigMap"), "data", "MODELYARD_WORKERS", value="auto"),
            put(container, "resources", "limits", "cpu"),
        ),
    ),
    ("gpu-in-limits", put(container, "resources", "limits", "nvidia.com/gpu", value="1")),
    ("probes", put(container, "startupProbe")),
    ("stop-in-time", put(container, *SLEEP, value="60")),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort=1024)),
    ("high-ports", lambda objects: container(objects)["ports"][0].update(containerPort="80")),
    ("port-names", more(container, "ports", {"name": "fifteen-letters", "containerPort": 9000})),
]


def test_the_good_objects_break_no_rule(good: Objects) -> None:
    assert check(good, image=IMAGE) == []


def test_every_rule_has_an_object_that_breaks_it() -> None:
    assert {name for name, _ in BROKEN} | {"sleep-known"} == set(RULES)


@pytest.mark.parametrize(("rule", "change"), BROKEN, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(BROKEN)])
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    change(good)
    found = [finding for finding in broken(good) if finding.rule == rule]
    assert found
    assert {finding.severity for finding in found} == {RULES[rule].severity}
    assert all(finding.message and finding.remedy for finding in found)


@pytest.mark.parametrize(("rule", "change"), ALLOWED, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(ALLOWED)])
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    change(good)
    assert [str(finding) for finding in broken(good) if finding.rule == rule] == []


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
    objects = [{"apiVersion": version, "kind": "Thing", "metadata": {"name": "a"}}]
    for minor in range(14, 36):
        rules = [finding.rule for finding in findings(Bundle(objects, version=minor))]
        assert ("api-versions" in rules) is (gone is not None and minor >= gone), minor


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("DB_PASSWORD", 1),
        ("api-key", 1),
        ("tls.private.key", 1),
        ("db_password", 1),
        ("PASSWORD_FILE", 0),
        ("password_file", 0),
        ("PASSWORD_FILES", 1),
        ("LOG_FILE", 0),
        ("LEVEL", 0),
    ],
)
def test_the_file_of_a_secret_may_be_named_and_its_value_may_not(good: Objects, name: str, found: int) -> None:
    container(good).setdefault("env", []).append({"name": name, "value": "/run/x"})
    of(good, "ConfigMap").setdefault("data", {})[name] = "/run/x"
    rules = [finding.rule for finding in broken(good)]
    assert (rules.count("no-secret-environment"), rules.count("no-secret-values")) == (found, found)


def test_a_sleep_before_the_stop_needs_a_cluster_that_knows_it(good: Objects) -> None:
    container(good)["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    assert [finding.rule for finding in check(good, version="1.29")] == ["sleep-known"]
    assert check(good, version="1.30") == []


@pytest.mark.parametrize("extra", ["memory", "GPU"])
def test_an_init_container_is_checked_too(good: Objects, extra: str) -> None:
    pod(good)["initContainers"] = [{"name": extra.lower(), "image": "busybox"}]
    rules = {finding.rule for finding in broken(good)}
    assert {"image-digest", "explicit-tag", "resources", "read-only-root", "drop-capabilities"} <= rules
    assert "probes" not in rules


def test_a_job_needs_no_probe(good: Objects) -> None:
    add(apiVersion="batch/v1", kind="CronJob", spec={"schedule": "* * * * *", "jobTemplate": {"spec": JOB}})(good)
    rules = {finding.rule for finding in broken(good) if finding.subject == "CronJob/extra"}
    assert "no-token" in rules
    assert "probes" not in rules


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


# --- skipping on purpose


def annotate(objects: Objects, text: str) -> None:
    of(objects, "Deployment")["metadata"]["annotations"]["modelyard.dev/skip"] = text


def test_a_rule_is_skipped_with_a_reason_on_that_object_alone(good: Objects) -> None:
    del container(good)["resources"]["limits"]["cpu"]
    assert [finding.rule for finding in check(good)] == ["cpu-limit"]
    annotate(good, "cpu-limit: throttling costs more than it saves; replicas: one is enough")
    assert check(good) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpu-limit", "without a reason"),
        ("cpu-limits: why not", "unknown rule 'cpu-limits', did you mean 'cpu-limit'?"),
    ],
)
def test_a_skip_that_says_too_little_is_an_error(good: Objects, text: str, said: str) -> None:
    annotate(good, text)
    (finding,) = check(good)
    assert (finding.rule, finding.severity) == ("skip", "error")
    assert said in finding.message


# --- whatever the objects are

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(path for key, inner in pairs for path in _paths(inner, (*where, key)))]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_wrong_shape_anywhere_is_reported_and_never_a_crash(good: Objects, data: st.DataObject) -> None:
    objects: Any = copy.deepcopy(good)
    path = data.draw(st.sampled_from([path for path in _paths(objects) if path]))
    target = objects
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = data.draw(JSON)
    for finding in broken(objects):
        assert finding.severity in ("error", "warning")
        assert str(finding)
