"""Which requests an HTTPRoute takes, and the Services that it shares them among; the revisions of a Service of Knative's.

Source: Gateway API 1.4, HTTPRoute: matches, weight; Knative Serving 1.2x, TrafficTarget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.contexts import Problem
from modelyard.kubernetes import syntax

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from modelyard.kubernetes.target_params import KubernetesParams

LATEST = "latest"
"""What `traffic` calls the revision that was made last."""
_MOST_WEIGHT, _MOST_BACKENDS = 1_000_000, 16
"""What the Gateway API allows of one rule."""


def matches(p: KubernetesParams, models: Sequence[str], protocols: Collection[str]) -> list[dict[str, Any]]:
    """Return what the requests have in common that the route takes, as a rule has it; empty: it takes all.

    A prefix ends where a part of the path does, so the question of TF Serving's REST API stands beside it.

    Args:
        p: the target's parameters.
        models: the names of the server's models in the URLs.
        protocols: what the server speaks, see `artifacts.ServerFacts`.
    """
    if not p.gateway_models:
        return []
    paths = []
    for model in models:
        paths += [("PathPrefix", f"/{one}/models/{model}") for one in sorted(protocols)]
        paths += [("Exact", f"/v1/models/{model}:predict")] if "v1" in protocols else []
    return [{"path": {"type": kind, "value": value}} for kind, value in paths]


def backends(p: KubernetesParams, name: str, port: int) -> list[dict[str, Any]]:
    """Return the Services that the route's requests go to, as a rule has them; without weights: the own one, called `name`."""
    if not p.gateway_weights:
        return [{"name": name, "port": port}]
    return [{"name": one, "port": port, "weight": weight} for one, weight in p.gateway_weights.items()]


def weights_problems(p: KubernetesParams, name: str) -> Iterator[Problem]:
    """Yield what is wrong with `gateway_weights` of a target whose project is called `name`."""
    weights, own = p.gateway_weights or {}, p.name or name
    for service, weight in weights.items():
        if syntax.dns_label(service):
            yield Problem("gateway_weights", f"{service!r:.80} names no Service", f"allowed: {syntax.DNS_LABEL}")
        if not 0 <= weight <= _MOST_WEIGHT:
            yield Problem("gateway_weights", f"{service}: {weight} is no weight", f"allowed: 0 to {_MOST_WEIGHT}")
    if not weights:
        return
    if own not in weights:
        yield Problem("gateway_weights", f"the target's own Service, {own!r}, has none", f"write it, too: {own} = 90")
    if len(weights) > _MOST_BACKENDS:
        yield Problem("gateway_weights", f"{len(weights)} Services are too many", f"allowed: {_MOST_BACKENDS}")
    if not any(weights.values()):
        yield Problem("gateway_weights", "no Service would get a request", "allowed: one above 0 at least")


def revisions(traffic: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the share of each revision, as a Service of Knative's has it."""
    return [
        {"latestRevision": True, "percent": percent}
        if revision == LATEST
        else {"revisionName": revision, "latestRevision": False, "percent": percent}
        for revision, percent in traffic.items()
    ]


def traffic_problems(traffic: Mapping[str, int], service: str) -> Iterator[Problem]:
    """Yield what is wrong with `traffic` of the Service of Knative's called `service`."""
    for revision, percent in traffic.items():
        if revision != LATEST and (syntax.dns_label(revision) or not revision.startswith(f"{service}-")):
            allowed = f"allowed: {LATEST!r}, or what `kubectl get revisions` lists: {service}-00001"
            yield Problem("traffic", f"{revision!r:.80} is no revision of {service!r}", allowed)
        if not 0 <= percent <= 100:
            yield Problem("traffic", f"{revision}: {percent} is no share", "allowed: 0 to 100, in percent")
    if traffic and sum(traffic.values()) != 100:
        why = f"the shares are {sum(traffic.values())} percent together"
        yield Problem("traffic", why, "allowed: shares that are 100 together")
