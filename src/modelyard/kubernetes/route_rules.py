"""Rules on routes of the Gateway API, and on TLS between a Gateway and the pods.

Source: Gateway API 1.4: HTTPRoute, BackendTLSPolicy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelyard.kubernetes.findings import on_kind
from modelyard.kubernetes.objects import Bundle, Object, get, items, text

if TYPE_CHECKING:
    from collections.abc import Iterator

HTTP_ROUTE = "gateway.networking.k8s.io/HTTPRoute"
TLS_POLICY = "gateway.networking.k8s.io/BackendTLSPolicy"


@on_kind(HTTP_ROUTE, name="route-attached", severity="error", remedy="name a Gateway in spec.parentRefs")
def route_attached(_: Bundle, route: Object) -> Iterator[str]:
    """43: a Gateway takes requests for the route."""
    if not items(route, "spec", "parentRefs"):
        yield "is attached to no Gateway"


@on_kind(HTTP_ROUTE, name="route-backend", severity="error", remedy="name a Service of the same objects, and the number of its port")  # fmt: skip
def route_backend(bundle: Bundle, route: Object) -> Iterator[str]:
    """43: a request from a Gateway reaches a Service.

    What a rule shares with a Service of these objects may be another's, that of the model before or of the next one.
    """
    for one in items(route, "spec", "rules"):
        own = _own(route, one)
        found = {text(backend, "name"): bundle.find("Service", text(backend, "name")) for backend in own}
        for backend in own:
            name = text(backend, "name")
            if (service := found[name]) is not None and _port(service, backend) is None:
                yield f"Service {name!r} has no port {get(backend, 'port')!r}"
            if service is None and not any(found.values()):
                yield f"Service {name!r} is not there"


@on_kind(HTTP_ROUTE, name="route-tls", severity="warning",
         remedy="add a BackendTLSPolicy (gateway_ca), or serve without TLS behind the Gateway (tls = false)")  # fmt: skip
def route_tls(bundle: Bundle, route: Object) -> Iterator[str]:
    """43: a Gateway speaks TLS to a port that asks for it; most controllers do not read it from `appProtocol`."""
    for backend in _backends(route):
        service = bundle.find("Service", text(backend, "name")) or {}
        port = _port(service, backend)
        if text(port, "appProtocol") == "https" and not _has_policy(bundle, service, text(port, "name")):
            yield f"port {get(backend, 'port')!r} of Service {text(backend, 'name')!r} speaks TLS, and no BackendTLSPolicy says so"


@on_kind(TLS_POLICY, name="tls-policy-target", severity="error", remedy="name a Service of the same objects, and the name of its port")  # fmt: skip
def tls_policy_target(bundle: Bundle, policy: Object) -> Iterator[str]:
    """43: what is said of the TLS of a Service is said of one that is there."""
    for target in items(policy, "spec", "targetRefs"):
        name, section = text(target, "name"), text(target, "sectionName")
        service = bundle.find("Service", name)
        if text(target, "kind") == "Service" and service is None:
            yield f"Service {name!r} is not there"
        elif (
            service is not None and section and section not in [get(p, "name") for p in items(service, "spec", "ports")]
        ):
            yield f"Service {name!r} has no port {section!r}"


def _backends(route: Object) -> list[Object]:
    """Return the Services of the route's own namespace to which it sends requests."""
    return [backend for one in items(route, "spec", "rules") for backend in _own(route, one)]


def _own(route: Object, rule: Object) -> list[Object]:
    """Return those of one rule."""
    own = text(route, "metadata", "namespace")
    return [
        one
        for one in items(rule, "backendRefs")
        if text(one, "kind") in ("", "Service") and not text(one, "group") and text(one, "namespace") in ("", own)
    ]


def _port(service: Object, backend: Object) -> Object | None:
    """Return the port of a Service to which a backend's number leads."""
    return next((one for one in items(service, "spec", "ports") if get(one, "port") == get(backend, "port")), None)


def _has_policy(bundle: Bundle, service: Object, port: str) -> bool:
    name = text(service, "metadata", "name")
    targets = [target for one in bundle.of(TLS_POLICY) for target in items(one, "spec", "targetRefs")]
    return any(text(one, "name") == name and text(one, "sectionName") in ("", port) for one in targets)
