"""What Kubernetes allows as parameters of the `kubernetes` target; looked at whenever a project is loaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.kubernetes import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
OWN_LABELS = (NAME, INSTANCE, "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
SERVER_MEMORY = "modelyard.dev/server-memory"
"""The annotation of a pod that says what one worker of its server takes, headroom included."""
_SUBDOMAINS = ("auth_secret", "tls_secret", "ingress_class", "ingress_tls_secret", "priority_class")
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


def problems(params: Mapping[str, Any], *, reads_settings: bool = True) -> Iterator[Problem]:
    """Yield what Kubernetes does not allow among `params`, the parameters of the `kubernetes` target.

    Args:
        params: the parameters.
        reads_settings: whether the server is modelyard's own, which keeps within its memory by what it refuses.
    """
    p = SimpleNamespace(**params)
    yield from _names(p)
    yield from _mappings(p)
    yield from _host(p.ingress_host)
    yield from _relations(p)
    yield from _quantities(p)
    if reads_settings:
        yield from _memory(p)


def _names(p: Any) -> Iterator[Problem]:
    for key, value in (("namespace", p.namespace), *(("allow_namespaces", one) for one in p.allow_namespaces)):
        if value and syntax.dns_label(value):
            yield Problem(key, f"{value!r:.80} is not a DNS label", f"allowed: {syntax.DNS_LABEL}")
    named = [(key, getattr(p, key)) for key in _SUBDOMAINS]
    for key, value in (*named, *(("image_pull_secrets", one) for one in p.image_pull_secrets)):
        if value and syntax.dns_subdomain(value):
            yield Problem(key, f"{value!r:.80} is not a DNS name", f"allowed: {syntax.DNS_SUBDOMAIN}")


def _mappings(p: Any) -> Iterator[Problem]:
    for key in ("labels", "node_selector"):
        for why in syntax.labels_problems(getattr(p, key) or {}):
            yield Problem(key, why, "mend it, or leave it out")
    for key in ("annotations", "ingress_annotations"):
        for why in syntax.annotations_problems(getattr(p, key) or {}):
            yield Problem(key, why, "mend it, or leave it out")
    for taken in sorted(set(p.labels or {}) & set(OWN_LABELS)):
        yield Problem("labels", f"{taken!r} is set by modelyard", "allowed: any other key")


def _host(host: str) -> Iterator[Problem]:
    if not host or not syntax.dns_subdomain(host.removeprefix("*.")):
        return
    scheme, marked, rest = host.rpartition("://")
    bare = rest.partition("/")[0].partition(":")[0]
    if bare != host and not syntax.dns_subdomain(bare):
        what = f"a host has no scheme {scheme + marked!r}" if marked else "a host has neither port nor path"
        yield Problem("ingress_host", what, f"allowed: {bare!r}")
    else:
        yield Problem(
            "ingress_host", "it is not a DNS name", f"allowed: {syntax.DNS_SUBDOMAIN}; '*.' may stand before it"
        )


def _relations(p: Any) -> Iterator[Problem]:
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


def _quantities(p: Any) -> Iterator[Problem]:
    changed = [key for key, usual in _QUANTITIES.items() if getattr(p, key) != usual]
    for key in changed:
        number = syntax.quantity(getattr(p, key))
        if not (getattr(p, key) == "" and key.endswith("_limit")) and (number is None or number <= 0):
            yield Problem(key, "it is not a quantity above 0", _ALLOWED_QUANTITY)
    for key in ("cpu", "memory"):
        if not {key, f"{key}_limit"}.isdisjoint(changed):
            yield from _limit(key, getattr(p, key), getattr(p, f"{key}_limit"))


def _memory(p: Any) -> Iterator[Problem]:
    """Yield a memory that is too little whatever the model; the rule `body-fits-memory` knows what was measured."""
    memory = syntax.quantity(p.memory_limit or p.memory) if p.memory_limit or p.memory else None
    if memory is None:
        return
    from modelyard.footprint import SMALL_BYTES, Footprint

    needs = Footprint(SMALL_BYTES, p.max_body_bytes)
    if why := needs.problem(int(memory)):
        yield Problem("memory_limit" if p.memory_limit else "memory", why, needs.remedy)


def _limit(key: str, least: str, limit: str) -> Iterator[Problem]:
    wanted, most = syntax.quantity(least), syntax.quantity(limit)
    if wanted is not None and most is not None and most < wanted:
        yield Problem(f"{key}_limit", f"it is below {key} = {least!r}", f"allowed: {least!r} or more")
