"""Every rule of `pod_rules` against a change of the good objects that it alone is there to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.changes import (
    add,
    assert_found,
    assert_left_alone,
    both,
    broken,
    cases,
    container,
    kind,
    more,
    of,
    pod,
    put,
)

if TYPE_CHECKING:
    from tests.kubernetes.changes import Case, Change, Objects

ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}
BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}

BROKEN: list[Case] = [
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
]

ALLOWED: list[Case] = [
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
    ("high-user", put(container, "securityContext", "runAsUser", value=0)),  # another rule's
]


@pytest.mark.parametrize(("rule", "change"), cases(BROKEN))
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    assert_found(good, rule, change)


@pytest.mark.parametrize(("rule", "change"), cases(ALLOWED))
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    assert_left_alone(good, rule, change)


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
