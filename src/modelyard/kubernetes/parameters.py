"""What Kubernetes allows as parameters of a target; looked at whenever a project is loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.errors import did_you_mean
from modelyard.kubernetes import syntax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from modelyard.kubernetes.target_params import KubernetesParams

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"
OWN_LABELS = (NAME, INSTANCE, "app.kubernetes.io/version", MANAGED_BY)
SERVER_MEMORY = "modelyard.dev/server-memory"
"""The annotation of a pod that says what one worker of its server takes, headroom included."""
_NAME_LENGTH = 52
_SET = {
    "MODELYARD_MODEL_NAME": "model_name",
    "MODELYARD_MODEL_DIR": "nothing: the model is in the image",
    "MODELYARD_HOST": "nothing: the pod's ports are open to its network alone",
    "MODELYARD_USERNAME": "auth_secret",
    "MODELYARD_PASSWORD": "auth_secret",
    "MODELYARD_TLS_CERT_FILE": "tls_secret",
    "MODELYARD_TLS_KEY_FILE": "tls_secret",
    "MODELYARD_EVENTS_URL": "events_url",
    "MODELYARD_EVENTS_USERNAME": "events_secret",
    "MODELYARD_EVENTS_PASSWORD": "events_secret",
    "MODELYARD_EVENTS_CA_FILE": "events_ca_secret",
    "MODELYARD_EVENTS_CERT_FILE": "events_tls_secret",
    "MODELYARD_EVENTS_KEY_FILE": "events_tls_secret",
    **{
        f"MODELYARD_{key.upper()}": key
        for key in ("port", "drain_s", "grace_s", "log_level", "workers", "threads", "max_body_bytes")
    },
}
"""The server's settings that follow from parameters or from the image, each with what to set instead."""
_SUBDOMAINS = (
    "auth_secret",
    "tls_secret",
    "events_secret",
    "events_ca_secret",
    "events_tls_secret",
    "ingress_class",
    "ingress_tls_secret",
    "gateway_listener",
    "gateway_ca",
    "priority_class",
)
_QUANTITIES = {
    "cpu": "250m",
    "cpu_limit": "1",
    "memory": "",
    "memory_limit": "",
    "ephemeral_storage": "64Mi",
    "tmp_size": "16Mi",
    "proxy_cpu": "100m",
    "proxy_memory": "64Mi",
}
"""The parameters that are quantities, each with a value that is one: to read a number costs an import."""
_ALLOWED_QUANTITY = "allowed: a number above 0 with a suffix: '500m', '256Mi', '1Gi'"


def problems(p: KubernetesParams, *, reads_settings: bool = True) -> Iterator[Problem]:
    """Yield what Kubernetes does not allow among `p`, a target's parameters.

    Args:
        p: the parameters.
        reads_settings: whether the server is modelyard's own, which keeps within its memory by what it refuses.
    """
    yield from _names(p)
    yield from _model_name(p, reads_settings=reads_settings)
    yield from _environment(p, reads_settings=reads_settings)
    yield from _nodes(p)
    yield from _mappings(p)
    yield from _host("ingress_host", p.ingress_host)
    yield from _gateway(p)
    yield from _scaling(p)
    yield from _relations(p)
    yield from _quantities(p)
    if reads_settings:
        yield from _memory(p)


def _names(p: KubernetesParams) -> Iterator[Problem]:
    if p.name and (syntax.dns_label(p.name) or len(p.name) > _NAME_LENGTH):
        allowed = f"allowed: lower-case letters, digits and inner '-', {_NAME_LENGTH} at most"
        yield Problem("name", "the names of the objects begin with it", allowed)
    several = (("allow_namespaces", p.allow_namespaces), ("allow_scrapers", p.allow_scrapers))
    for key, value in (("namespace", p.namespace), *((key, one) for key, names in several for one in names)):
        if value and syntax.dns_label(value):
            yield Problem(key, f"{value!r:.80} is not a DNS label", f"allowed: {syntax.DNS_LABEL}")
    named = [(key, getattr(p, key)) for key in _SUBDOMAINS]
    for key, value in (*named, *(("image_pull_secrets", one) for one in p.image_pull_secrets)):
        if value and syntax.dns_subdomain(value):
            yield Problem(key, f"{value!r:.80} is not a DNS name", f"allowed: {syntax.DNS_SUBDOMAIN}")


def _model_name(p: KubernetesParams, *, reads_settings: bool) -> Iterator[Problem]:
    if p.model_name and not reads_settings:
        yield Problem("model_name", "the server has it from its image", "remove it")
    elif p.model_name and not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", p.model_name):
        allowed = "allowed: 1 to 100 letters, digits, '.', '_' and '-'"
        yield Problem("model_name", "it is a part of URLs", allowed)


def several_problems(p: Any, models: Collection[str]) -> Iterator[Problem]:
    """Yield what is about one model, where the image serves several: `p` are the parameters of a target."""
    if models and p.model_name:
        instead = "remove it; the names are in [tool.modelyard.images]"
        yield Problem("model_name", f"the image serves {len(models)} models, each by its own name", instead)


def _environment(p: KubernetesParams, *, reads_settings: bool) -> Iterator[Problem]:
    files = {f"{name}_FILE": "env_from_secrets" for name in p.env_from_secrets or {}}
    for name, key in {**dict.fromkeys(p.env or {}, "env"), **files}.items():
        yield from (Problem(key, why, instead) for why, instead in _variable(name, reads_settings=reads_settings))
    for name, value in (p.env_from_secrets or {}).items():
        if not _names_a_key(value):
            yield Problem(
                "env_from_secrets", f"{name}: {value!r:.80} names no key of a Secret", "allowed: 'SECRET/KEY'"
            )
    for name in sorted(set(p.env or {}) & {*(p.env_from_secrets or {}), *files}):
        yield Problem("env", f"{name!r} is in env_from_secrets, too", "remove one")


def _variable(name: str, *, reads_settings: bool) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a variable's name, and what to do."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        yield f"{name!r:.80} is no variable", "allowed: letters, digits and '_', not beginning with a digit"
    if not (reads_settings and name.startswith("MODELYARD_")):
        return
    from modelyard.serving.settings import KNOWN

    setting = name if name in KNOWN else name.removesuffix("_FILE")
    if setting not in KNOWN:
        yield f"the server has no setting {name!r}{did_you_mean(name, KNOWN)}", "see docs/reference/serving.md"
    elif setting in _SET:
        yield f"{name!r} is set by modelyard", f"set {_SET[setting]}"


def _nodes(p: KubernetesParams) -> Iterator[Problem]:
    for key in p.spread_over:
        if why := syntax.label_key(key):
            yield Problem("spread_over", why, "name the key of a node's label, for instance 'kubernetes.io/hostname'")
    if p.gpus and (syntax.label_key(p.gpu_resource) or "/" not in p.gpu_resource):
        yield Problem(
            "gpu_resource", "it is not what a device plugin is called", "allowed: for instance 'nvidia.com/gpu'"
        )


def _mappings(p: KubernetesParams) -> Iterator[Problem]:
    for key in ("labels", "node_selector", "service_monitor_labels"):
        for why in syntax.labels_problems(getattr(p, key) or {}):
            yield Problem(key, why, "mend it, or leave it out")
    for key in ("annotations", "ingress_annotations"):
        for why in syntax.annotations_problems(getattr(p, key) or {}):
            yield Problem(key, why, "mend it, or leave it out")
    for taken in sorted(set(p.labels or {}) & set(OWN_LABELS)):
        yield Problem("labels", f"{taken!r} is set by modelyard", "allowed: any other key")


def _scaling(p: KubernetesParams) -> Iterator[Problem]:
    for one in p.scale_on:
        metadata = one.get("metadata")
        texts = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
        if not (isinstance(one.get("type"), str) and texts):
            allowed = "allowed: { type = '...', metadata = { KEY = 'TEXT', ... } }"
            yield Problem("scale_on", f"{one!r:.80} is no trigger of KEDA's", allowed)
    for name, value in (p.scale_secrets or {}).items():
        if not _names_a_key(value):
            yield Problem("scale_secrets", f"{name}: {value!r:.80} names no key of a Secret", "allowed: 'SECRET/KEY'")
    scaled = bool(p.scale_on or (p.events_per_replica and not p.events_jobs))
    for key, is_used in (("scale_secrets", scaled or p.events_jobs), ("scale_to_zero", scaled)):
        if getattr(p, key) and not is_used:
            why = "there is no ScaledObject that it is for"
            yield Problem(key, why, "set events_per_replica, or scale_on, or remove it")
    if p.events_jobs and not p.events_per_replica:
        yield Problem(
            "events_jobs", "nobody counts the events that they are for", "set events_per_replica, or remove it"
        )
    if scaled and p.max_replicas <= p.replicas:
        why = f"it is replicas = {p.replicas}, so that KEDA could add no pod"
        yield Problem("max_replicas", why, f"allowed: {p.replicas + 1} or more")
    if p.events_per_replica or p.events_monitor:
        from modelyard.kubernetes.event_triggers import problems as counting  # most count none

        yield from counting(p)


def _names_a_key(value: str) -> bool:
    """Tell whether `value` names a key of a Secret: SECRET/KEY."""
    secret, _, inner = value.partition("/")
    return not syntax.dns_subdomain(secret) and re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", inner) is not None


def _gateway(p: KubernetesParams) -> Iterator[Problem]:
    namespace, slash, name = p.gateway.rpartition("/")
    if p.gateway and (syntax.dns_subdomain(name) or (slash and syntax.dns_label(namespace))):
        yield Problem("gateway", "it names no Gateway", "allowed: 'NAME' or 'NAMESPACE/NAME'")
    for host in p.gateway_hosts:
        yield from _host("gateway_hosts", host)
    for key in ("gateway_listener", "gateway_hosts", "gateway_models", "gateway_weights", "gateway_ca"):
        if getattr(p, key) and not p.gateway:
            yield Problem(key, "there is no HTTPRoute that it is for", "set gateway, or remove it")
    if p.gateway_ca and not p.tls:
        yield Problem("gateway_ca", "the pods serve without TLS", "set tls = true, or remove it")


def _host(key: str, host: str) -> Iterator[Problem]:
    if not host or not syntax.dns_subdomain(host.removeprefix("*.")):
        return
    scheme, marked, rest = host.rpartition("://")
    bare = rest.partition("/")[0].partition(":")[0]
    if bare != host and not syntax.dns_subdomain(bare):
        what = f"a host has no scheme {scheme + marked!r}" if marked else "a host has neither port nor path"
        yield Problem(key, what, f"allowed: {bare!r}")
    else:
        yield Problem(key, "it is not a DNS name", f"allowed: {syntax.DNS_SUBDOMAIN}; '*.' may stand before it")


def _relations(p: KubernetesParams) -> Iterator[Problem]:
    if p.tls_server_name and not (p.tls and (p.service_monitor or p.gateway_ca)):
        yield Problem(
            "tls_server_name", "nobody asks for it", "set tls, and service_monitor or gateway_ca, or remove it"
        )
    if p.allow_scrapers and not p.allow_namespaces:
        yield Problem("allow_scrapers", "every namespace may send requests", "name allow_namespaces, too, or remove it")
    if p.create_namespace and not p.namespace:
        yield Problem("create_namespace", "it needs a namespace", "allowed with: namespace = '...'")
    if p.max_replicas < p.replicas:
        why = f"it is below replicas = {p.replicas}"
        yield Problem("max_replicas", why, f"allowed: {p.replicas} (no autoscaler) or more")
    if (syntax.minor(p.kubernetes_version) or 0) < 29:
        yield Problem("kubernetes_version", "no such version is known", "allowed: '1.29' and later")
    if 0 < p.port < 1024 or p.port > 65535:
        why = "no such port can be listened on without rights of root"
        yield Problem("port", why, "allowed: 1024 to 65535, or 0 for the image's")
    if p.service_port > 65535:
        yield Problem("service_port", "there is no such port", "allowed: 1 to 65535, or 0 for 443 with TLS and else 80")


def _quantities(p: KubernetesParams) -> Iterator[Problem]:
    changed = [key for key, usual in _QUANTITIES.items() if getattr(p, key) != usual]
    for key in changed:
        number = syntax.quantity(getattr(p, key))
        if not (getattr(p, key) == "" and key.endswith("_limit")) and (number is None or number <= 0):
            yield Problem(key, "it is not a quantity above 0", _ALLOWED_QUANTITY)
    for key in ("cpu", "memory"):
        if not {key, f"{key}_limit"}.isdisjoint(changed):
            yield from _limit(key, getattr(p, key), getattr(p, f"{key}_limit"))


def _memory(p: KubernetesParams) -> Iterator[Problem]:
    """Yield a memory that is too little whatever the model; the rule `body-fits-memory` knows what was measured."""
    if p.workers == "auto" and not p.cpu_limit:
        why = "without cpu_limit a pod has a worker for each cpu of its node, whatever its memory"
        yield Problem("workers", why, "allowed: a number, or 'auto' with cpu_limit")
    memory = syntax.quantity(p.memory_limit or p.memory) if p.memory_limit or p.memory else None
    if memory is None:
        return
    from modelyard.launch.footprint import SMALL_BYTES, Footprint, processes, workers_of

    cpus = float(syntax.quantity(p.cpu_limit or p.cpu) or 1)
    workers = workers_of(processes(p.workers, p.threads, cpus), cpus)
    needs = Footprint(SMALL_BYTES, p.max_body_bytes, workers)
    if why := needs.problem(int(memory)):
        yield Problem("memory_limit" if p.memory_limit else "memory", why, needs.remedy)


def _limit(key: str, least: str, limit: str) -> Iterator[Problem]:
    wanted, most = syntax.quantity(least), syntax.quantity(limit)
    if wanted is not None and most is not None and most < wanted:
        yield Problem(f"{key}_limit", f"it is below {key} = {least!r}", f"allowed: {least!r} or more")
