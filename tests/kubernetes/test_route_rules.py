"""Every rule of `route_rules` against a change of the good objects that it alone is there to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.changes import assert_found, assert_left_alone, both, broken, cases, drop, of, put

if TYPE_CHECKING:
    from tests.kubernetes.changes import Case, Change, Objects


def backend(**fields: Any) -> Change:
    """Return a change of where the route sends requests."""
    return lambda objects: of(objects, "HTTPRoute")["spec"]["rules"][0]["backendRefs"][0].update(fields)


def target(**fields: Any) -> Change:
    """Return a change of what the policy is about."""
    return lambda objects: of(objects, "BackendTLSPolicy")["spec"]["targetRefs"][0].update(fields)


def port(**fields: Any) -> Change:
    return lambda objects: of(objects, "Service")["spec"]["ports"][0].update(fields)


def service(objects: Objects) -> dict[str, Any]:
    return of(objects, "Service")


def share(*others: str, **own: Any) -> Change:
    """Return a change that lets the route share its requests with Services called `others`."""

    def change(objects: Objects) -> None:
        backend(**own)(objects)
        [rule] = of(objects, "HTTPRoute")["spec"]["rules"]
        rule["backendRefs"] += [{"name": name, "port": 443, "weight": 10} for name in others]

    return change


BROKEN: list[Case] = [
    ("route-backend", share("next", name="other")),
    ("route-backend", share("next", port=1)),
    ("route-attached", lambda objects: of(objects, "HTTPRoute")["spec"].pop("parentRefs")),
    ("route-backend", backend(name="other")),
    ("route-backend", backend(port=1)),
    ("route-backend", backend(port="https")),
    ("route-tls", drop("BackendTLSPolicy")),
    ("route-tls", target(name="other")),
    ("route-tls", target(sectionName="grpc")),
    ("tls-policy-target", target(name="other")),
    ("tls-policy-target", target(sectionName="other")),
]
ALLOWED: list[Case] = [
    ("route-backend", share("next", "before")),
    ("route-backend", backend(name="other", namespace="elsewhere")),
    ("route-backend", backend(name="other", kind="Bucket", group="example.org")),
    ("route-tls", lambda objects: of(objects, "BackendTLSPolicy")["spec"]["targetRefs"][0].pop("sectionName")),
    ("route-tls", both(port(appProtocol="http"), drop("BackendTLSPolicy"))),
    ("route-tls", put(service, "metadata", "name", value="other")),
    ("tls-policy-target", target(kind="Bucket", group="example.org", name="other")),
]


@pytest.mark.parametrize(("rule", "change"), cases(BROKEN))
def test_a_rule_finds_what_it_is_there_for(good: Objects, rule: str, change: Change) -> None:
    assert_found(good, rule, change)


@pytest.mark.parametrize(("rule", "change"), cases(ALLOWED))
def test_a_rule_leaves_alone_what_is_allowed(good: Objects, rule: str, change: Change) -> None:
    assert_left_alone(good, rule, change)


def test_of_a_service_that_is_not_there_no_more_is_said(good: Objects) -> None:
    backend(name="other")(good)
    assert [finding.rule for finding in broken(good)] == ["route-backend"]
