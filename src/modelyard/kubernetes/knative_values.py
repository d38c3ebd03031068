"""What the templates of the target `knative` need, and what of its parameters Knative does not allow.

Source: Knative Serving and Eventing 1.2x: the fields of a pod that Serving takes without feature flags, and the ports of
its queue-proxy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from modelyard.contexts import Problem
from modelyard.kubernetes import syntax
from modelyard.kubernetes.event_filters import DIALECTS
from modelyard.kubernetes.parameters import problems as kubernetes_problems
from modelyard.kubernetes.routing import revisions
from modelyard.kubernetes.target_params import KubernetesParams
from modelyard.kubernetes.values import template_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.contexts import TargetContext
    from modelyard.kubernetes.knative_params import KnativeParams

_SHARED = (
    "name", "model_name", "namespace", "kubernetes_version", "cpu", "cpu_limit", "memory", "ephemeral_storage", "tmp_size", "auth",
    "auth_secret", "env", "log_level", "workers", "threads", "max_body_bytes", "startup_s", "allow_namespaces",
    "image_pull_policy", "image_pull_secrets", "labels", "annotations",
)  # fmt: skip
"""The parameters that mean what they mean to the target `kubernetes`."""
_PROXY_PORTS = (8012, 8013, 8112, 9090, 9091)
"""Those of queue-proxy: HTTP, HTTP/2 and TLS from the ingress and the activator, and what the autoscaler and Prometheus read."""
_SINKS = {
    "Broker": "eventing.knative.dev/v1",
    "Channel": "messaging.knative.dev/v1",
    "Service": "v1",
    "KnativeService": "serving.knative.dev/v1",
}
_OWN = ("concurrency", "timeout_s", "broker", "retries", "retry_delay_s")
"""The parameters that the templates take as they are."""
_GRACE_S = 20
_ISSUER_PATH = "/etc/modelyard/issuer"
"""Where the pods have what the cluster's API is asked for its keys with."""
_HTTPS = re.compile(r"https://[^\s/?#@]+(/[^\s?#]*)?")
_SENDER = re.compile(r"\S+")
_API_PORT = 6443
"""Where the Service of the cluster's API leads to, usually: a NetworkPolicy sees that port."""
_SINK_FORMS = "allowed: KIND/NAME with a KIND of " + ", ".join(_SINKS) + "; a URL; or 'broker'"
_BROKERS_OWN = "broker"
_FOR_EVENTS = ("event_types", "filters", "dead_letter", "audience")


def as_kubernetes(p: KnativeParams) -> KubernetesParams:
    """Return what Knative leaves to the pods: plain HTTP behind its proxy, which drains before the server is told to stop."""
    shared = {key: getattr(p, key) for key in _SHARED}
    return KubernetesParams(**shared, tls=False, drain_s=0, grace_s=min(_GRACE_S, p.timeout_s))


def values(context: TargetContext, p: KnativeParams) -> dict[str, Any]:
    """Return what the templates need: what the target `kubernetes` gives its own, and what is Knative's.

    Raises:
        ConfigError: the image's user is not one that Kubernetes can check.
    """
    found = template_values(context, as_kubernetes(p))
    visibility = {} if p.public else {"networking.knative.dev/visibility": "cluster-local"}
    return {
        **found,
        **{key: getattr(p, key) for key in _OWN},
        "env": {**found["settings"], **_letting_in(p), **found["env"]},
        "pod_annotations": {**found["deployment_annotations"], **_scaling(p)},
        "service_labels": {**found["labels"], **visibility},
        "traffic": revisions(p.traffic or {}),
        "filters": filters(p),
        "path": "/events" if p.reply else "/events?reply=none",
        "sink": _sink(p.dead_letter),
        "audience": p.audience,
        "issuer_path": _ISSUER_PATH if p.audience and _is_cluster(p.issuer) else "",
        "issuer_ports": sorted({urlsplit(p.issuer).port or 443, _API_PORT}) if p.audience else [],
        "open_ports": [{"name": one} for one in _PROXY_PORTS],
        "annotations": p.annotations or {},
        "trigger_annotations": {**(p.annotations or {}), **_brokers_own(p)},
    }


def _is_cluster(issuer: str) -> bool:
    """Tell whether it is the cluster's own API, which wants to be shown a token of its own, and has a certificate of its own."""
    return (urlsplit(issuer).hostname or "").startswith("kubernetes.default.")


def _letting_in(p: KnativeParams) -> dict[str, str]:
    """Return the server's settings that say who may send events: Knative has no password."""
    if not p.audience:
        return {"MODELYARD_EVENTS_AUTH": "none"} if p.broker else {}
    cluster = {"CA_FILE": f"{_ISSUER_PATH}/ca.crt", "TOKEN_FILE": f"{_ISSUER_PATH}/token"}
    senders = p.senders or (f"system:serviceaccount:{p.namespace}:*",)
    given = {"ISSUER": p.issuer, "AUDIENCE": p.audience, "SUBJECTS": " ".join(senders)}
    given |= cluster if _is_cluster(p.issuer) else {}
    return {"MODELYARD_EVENTS_AUTH": "oidc"} | {f"MODELYARD_EVENTS_OIDC_{key}": value for key, value in given.items()}


def _brokers_own(p: KnativeParams) -> dict[str, str]:
    skip = {"modelyard.dev/skip": "trigger-dead-letter: the Broker says where its dead letters go"}
    return skip if p.dead_letter == _BROKERS_OWN else {}


def _scaling(p: KnativeParams) -> dict[str, str]:
    scale = {"min-scale": str(p.min_scale), "max-scale": str(p.max_scale)}
    if p.target_concurrency:
        scale["target"] = str(p.target_concurrency)
    return {f"autoscaling.knative.dev/{key}": value for key, value in scale.items()}


def filters(p: KnativeParams) -> list[dict[str, Any]]:
    """Return the filters of the Trigger: one of the types, and all else that is asked for."""
    types: list[dict[str, Any]] = [{"exact": {"type": one}} for one in p.event_types]
    return [*(types if len(types) < 2 else [{"any": types}]), *p.filters]


def _sink(where: str) -> dict[str, Any]:
    """Return where dead letters go, as a Trigger has it; empty: nowhere that it says."""
    if where in ("", _BROKERS_OWN):
        return {}
    if "://" in where:
        return {"uri": where}
    sort, _, name = where.partition("/")
    return {"ref": {"apiVersion": _SINKS[sort], "kind": sort.removeprefix("Knative"), "name": name}}


def problems(p: KnativeParams) -> Iterator[Problem]:
    """Yield what Kubernetes or Knative does not allow among the parameters."""
    yield from kubernetes_problems(as_kubernetes(p))
    if p.max_scale and p.max_scale < p.min_scale:
        yield Problem("max_scale", f"it is below min_scale = {p.min_scale}", f"allowed: {p.min_scale} or more, or 0")
    if p.concurrency and p.target_concurrency > p.concurrency:
        why = f"a pod is never given more than concurrency = {p.concurrency}"
        yield Problem("target_concurrency", why, f"allowed: {p.concurrency} or less")
    yield from _events(p) if p.broker else _no_events(p)


def _no_events(p: KnativeParams) -> Iterator[Problem]:
    for key in _FOR_EVENTS:
        if getattr(p, key):
            yield Problem(key, "there is no Trigger that it is for", "set broker, or remove it")


def _events(p: KnativeParams) -> Iterator[Problem]:
    from modelyard.kubernetes.event_filters import lets_through
    from modelyard.serving.events.names import RESULT

    if why := syntax.dns_subdomain(p.broker):
        yield Problem("broker", why, f"allowed: {syntax.DNS_SUBDOMAIN}")
    for one in p.filters:
        if len(one) != 1 or set(one) - set(DIALECTS):
            yield Problem("filters", f"{one!r:.80} is no filter", f"allowed: a table with one of {', '.join(DIALECTS)}")
    trigger = {"spec": {"filters": filters(p)}}
    if p.reply and lets_through(trigger, {"type": RESULT}) is not False:
        why = f"the answers of the server, of the type {RESULT!r}, would come back to it"
        yield Problem("event_types", why, "name the types of the events that are to be answered, or set reply = false")
    yield from _tokens(p)
    if not p.dead_letter:
        yield Problem("dead_letter", "an event that cannot be answered would be lost", _SINK_FORMS)
    elif p.dead_letter != _BROKERS_OWN and "://" not in p.dead_letter:
        sort, _, name = p.dead_letter.partition("/")
        if sort not in _SINKS or syntax.dns_subdomain(name):
            yield Problem("dead_letter", f"{p.dead_letter!r:.80} is no sink", _SINK_FORMS)


def _tokens(p: KnativeParams) -> Iterator[Problem]:
    if p.senders and not p.audience:
        yield Problem("senders", "events are asked for no token", "set audience, or remove it")
    if p.audience and not (p.senders or p.namespace):
        why = "any pod of the cluster gets a token for any audience: whose are good?"
        yield Problem("audience", why, "set namespace, for the service accounts in it, or senders")
    if p.audience and not _HTTPS.fullmatch(p.issuer):
        yield Problem("issuer", f"{p.issuer!r:.80} is no address of an issuer", "allowed: https://HOST[:PORT][/PATH]")
    if any(not _SENDER.fullmatch(one) for one in p.senders):
        yield Problem("senders", "they are told apart by spaces", "allowed: names without spaces")
