"""Rules on the security of pods: the Pod Security Standard `restricted`, and what goes beyond it.

Source: Kubernetes "Pod Security Standards"; NSA/CISA "Kubernetes Hardening Guide" 1.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelyard.kubernetes.findings import on_container, on_kind, on_pod
from modelyard.kubernetes.objects import Bundle, Container, Object, Pod, get, items, kind, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_VOLUMES = {
    "name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}  # fmt: skip
_SECRET_NAME = re.compile(r"(?i)(password|passwd|secret|token|api[-_.]?key|private[-_.]?key|credential)")
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


@on_container("run-as-non-root", "error", "set securityContext.runAsNonRoot: true")
def run_as_non_root(_: Bundle, container: Container) -> Iterator[str]:
    """1: the container is started only when its user is not root."""
    if container.security("runAsNonRoot") is not True:
        yield f"container {container.name!r} may run as root"


@on_container("numeric-user", "error", "set securityContext.runAsUser and runAsGroup to numbers above 0")
def numeric_user(_: Bundle, container: Container) -> Iterator[str]:
    """2: user and group are numbers, which the kubelet can check, and not root's."""
    for key in ("runAsUser", "runAsGroup"):
        value = container.security(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"container {container.name!r}: {key} is {value!r}"


@on_container("high-user", "warning", "use a user and group above 10000, which no user of the host has")
def high_user(_: Bundle, container: Container) -> Iterator[str]:
    """2: user and group are above those of the host."""
    for key in ("runAsUser", "runAsGroup"):
        value = container.security(key)
        if isinstance(value, int) and 0 < value <= 10000:
            yield f"container {container.name!r}: {key} is {value}"


@on_container("no-privilege-escalation", "error", "set securityContext.allowPrivilegeEscalation: false")
def no_privilege_escalation(_: Bundle, container: Container) -> Iterator[str]:
    """3: no process gains more rights than its parent."""
    if get(container.spec, "securityContext", "allowPrivilegeEscalation") is not False:
        yield f"container {container.name!r} may gain rights"


@on_container("no-privileged", "error", "remove securityContext.privileged")
def no_privileged(_: Bundle, container: Container) -> Iterator[str]:
    """4: no container is privileged."""
    if get(container.spec, "securityContext", "privileged"):
        yield f"container {container.name!r} is privileged"


@on_container(
    "drop-capabilities", "error", "set securityContext.capabilities.drop: [ALL] and add none but NET_BIND_SERVICE"
)
def drop_capabilities(_: Bundle, container: Container) -> Iterator[str]:
    """5: all capabilities are dropped."""
    capabilities = mapping(container.spec, "securityContext", "capabilities")
    if "ALL" not in items(capabilities, "drop"):
        yield f"container {container.name!r} keeps capabilities"
    for added in items(capabilities, "add"):
        if added != "NET_BIND_SERVICE":
            yield f"container {container.name!r} adds the capability {added!r}"


@on_container(
    "read-only-root", "error", "set securityContext.readOnlyRootFilesystem: true and mount an emptyDir at /tmp"
)
def read_only_root(_: Bundle, container: Container) -> Iterator[str]:
    """6: the image's files cannot be changed."""
    if get(container.spec, "securityContext", "readOnlyRootFilesystem") is not True:
        yield f"container {container.name!r} may write to its root"


@on_pod("bounded-scratch", "warning", "set emptyDir.sizeLimit")
def bounded_scratch(_: Bundle, pod: Pod) -> Iterator[str]:
    """6: a scratch folder cannot fill the node."""
    for volume in items(pod.spec, "volumes"):
        if isinstance(get(volume, "emptyDir"), dict) and not get(volume, "emptyDir", "sizeLimit"):
            yield f"volume {text(volume, 'name')!r} has no limit"


@on_container("seccomp", "error", "set securityContext.seccompProfile.type: RuntimeDefault")
def seccomp(_: Bundle, container: Container) -> Iterator[str]:
    """7: system calls are filtered."""
    profile = get(container.security("seccompProfile"), "type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield f"container {container.name!r}: seccomp profile is {profile!r}"


@on_pod("no-host-namespaces", "error", "remove hostNetwork, hostPID and hostIPC")
def no_host_namespaces(_: Bundle, pod: Pod) -> Iterator[str]:
    """8: the pod does not see the host's network, processes or memory."""
    yield from (f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if get(pod.spec, key))


@on_pod(
    "volume-types",
    "error",
    "use configMap, secret, emptyDir, persistentVolumeClaim, projected, csi or ephemeral volumes",
)
def volume_types(_: Bundle, pod: Pod) -> Iterator[str]:
    """9, 11: no volume reaches into the host."""
    for volume in items(pod.spec, "volumes"):
        for key in sorted(str(key) for key in set(mapping(volume)) - _VOLUMES):
            yield f"volume {text(volume, 'name')!r} is a {key}"


@on_container("no-host-port", "error", "remove hostPort; a Service makes the port known")
def no_host_port(_: Bundle, container: Container) -> Iterator[str]:
    """10: no port of the host is taken."""
    yield from (f"hostPort {get(port, 'hostPort')}" for port in items(container.spec, "ports") if get(port, "hostPort"))


@on_container("confined", "error", "remove procMount, hostProcess, the sysctl, or the AppArmor or SELinux option")
def confined(_: Bundle, container: Container) -> Iterator[str]:
    """12: the kernel's fences stay up."""
    own = mapping(container.spec, "securityContext")
    if get(own, "procMount") not in (None, "Default"):
        yield f"container {container.name!r}: procMount is {get(own, 'procMount')!r}"
    if get(container.security("windowsOptions"), "hostProcess"):
        yield f"container {container.name!r}: hostProcess is set"
    if get(container.security("appArmorProfile"), "type") == "Unconfined":
        yield f"container {container.name!r}: AppArmor is off"
    for key in ("user", "role"):
        if get(container.security("seLinuxOptions"), key):
            yield f"container {container.name!r}: seLinuxOptions.{key} is set"


@on_pod("safe-sysctls", "error", "remove the sysctl")
def safe_sysctls(_: Bundle, pod: Pod) -> Iterator[str]:
    """12: only kernel settings that are the pod's own are changed."""
    names = [text(one, "name") for one in items(pod.spec, "securityContext", "sysctls")]
    yield from (f"sysctl {name!r} reaches beyond the pod" for name in names if name not in _SYSCTLS)


@on_container("no-probe-host", "error", "remove `host`: a probe goes to the pod itself")
def no_probe_host(_: Bundle, container: Container) -> Iterator[str]:
    """13: the kubelet is not sent elsewhere."""
    handlers = [(key, mapping(container.spec, key)) for key in _HANDLERS]
    handlers += [(key, mapping(container.spec, "lifecycle", key)) for key in ("preStop", "postStart")]
    for key, handler in handlers:
        for how in ("httpGet", "tcpSocket"):
            if get(handler, how, "host"):
                yield f"container {container.name!r}: {key} goes to host {get(handler, how, 'host')!r}"


@on_pod("own-service-account", "error", "add a ServiceAccount and name it in serviceAccountName")
def own_service_account(_: Bundle, pod: Pod) -> Iterator[str]:
    """14: rights given to `default` are not this pod's."""
    if text(pod.spec, "serviceAccountName") in ("", "default"):
        yield "runs under the namespace's default ServiceAccount"


@on_pod("service-account-exists", "warning", "add the ServiceAccount, or make sure that the cluster has it")
def service_account_exists(bundle: Bundle, pod: Pod) -> Iterator[str]:
    """14: the ServiceAccount comes with the pod."""
    name = text(pod.spec, "serviceAccountName")
    if name not in ("", "default") and bundle.find("ServiceAccount", name) is None:
        yield f"ServiceAccount {name!r} is not among the objects"


@on_pod("no-token", "error", "set automountServiceAccountToken: false on the pod")
def no_token(_: Bundle, pod: Pod) -> Iterator[str]:
    """15: a server that never calls the API has no key to it."""
    if get(pod.spec, "automountServiceAccountToken") is not False:
        yield "gets a token for the API"


@on_kind(
    "ServiceAccount", name="no-token-account", severity="warning", remedy="set automountServiceAccountToken: false"
)
def no_token_account(_: Bundle, account: Object) -> Iterator[str]:
    """15: nor has any other pod of that account, unless it asks."""
    if get(account, "automountServiceAccountToken") is not False:
        yield "gives a token to every pod"


@on_pod("no-deprecated-account", "warning", "use serviceAccountName")
def no_deprecated_account(_: Bundle, pod: Pod) -> Iterator[str]:
    """16: the old field is not used."""
    if "serviceAccount" in pod.spec:
        yield "uses the old field serviceAccount"


@on_kind(
    "Secret",
    "ConfigMap",
    name="no-secret-values",
    severity="error",
    remedy="keep secrets out of what is rendered; name a Secret",
)
def no_secret_values(_: Bundle, thing: Object) -> Iterator[str]:
    """17: no secret stands in a file that is committed or archived."""
    for key in sorted(str(key) for part in ("data", "stringData", "binaryData") for key in mapping(thing, part)):
        if kind(thing) == "Secret":
            yield f"holds the value of {key!r}"
        elif _SECRET_NAME.search(key) and not key.upper().endswith("_FILE"):
            yield f"{key!r} sounds like a secret"


@on_container("no-secret-environment", "error", "mount the Secret as files and pass the file's name: NAME_FILE")
def no_secret_environment(_: Bundle, container: Container) -> Iterator[str]:
    """17: the environment, which is shown and inherited, holds no secret."""
    for variable in items(container.spec, "env"):
        name = text(variable, "name")
        if get(variable, "valueFrom", "secretKeyRef"):
            yield f"variable {name!r} takes its value from a Secret"
        elif _SECRET_NAME.search(name) and not name.upper().endswith("_FILE"):
            yield f"variable {name!r} sounds like a secret"
    for source in items(container.spec, "envFrom"):
        if get(source, "secretRef"):
            yield f"takes every variable of the Secret {text(source, 'secretRef', 'name')!r}"


@on_kind(
    "Role",
    "ClusterRole",
    name="narrow-roles",
    severity="error",
    remedy="name the resources and verbs; leave secrets and exec out",
)
def narrow_roles(_: Bundle, role: Object) -> Iterator[str]:
    """18: no right that leads to all rights."""
    for entry in items(role, "rules"):
        named = {str(one) for key in ("resources", "verbs", "apiGroups") for one in items(entry, key)}
        yield from (f"allows {name!r}" for name in sorted(named & {"*", "secrets", "pods/exec", "pods/attach"}))
        if "pods" in named and "create" in named:
            yield "allows to create pods"


@on_kind(
    "RoleBinding",
    "ClusterRoleBinding",
    name="no-cluster-admin",
    severity="error",
    remedy="bind a role with the rights that are needed",
)
def no_cluster_admin(_: Bundle, binding: Object) -> Iterator[str]:
    """18: nobody is made master of the cluster."""
    if text(binding, "roleRef", "name") == "cluster-admin":
        yield "binds cluster-admin"


@on_pod("volume-group", "warning", "set securityContext.fsGroup")
def volume_group(_: Bundle, pod: Pod) -> Iterator[str]:
    """19: a user who is not root can read Secrets and write to volumes."""
    owned = {"secret", "emptyDir", "persistentVolumeClaim", "projected", "ephemeral"}
    if get(pod.spec, "securityContext", "fsGroup") is None and any(
        owned & set(mapping(v)) for v in items(pod.spec, "volumes")
    ):
        yield "has volumes but no fsGroup"
