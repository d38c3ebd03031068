"""Which requests a route takes, what it shares them among, and what of that is refused."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.kubernetes.routing import backends, matches, revisions, traffic_problems, weights_problems
from modelyard.kubernetes.target_params import KubernetesParams


def test_a_route_takes_all_requests_or_those_to_its_model() -> None:
    assert matches(KubernetesParams(), ["digits"], ("v1", "v2")) == []
    own = KubernetesParams(gateway_models=True)
    assert matches(own, ["digits"], ("v2", "v1")) == [
        {"path": {"type": "PathPrefix", "value": "/v1/models/digits"}},
        {"path": {"type": "PathPrefix", "value": "/v2/models/digits"}},
        {"path": {"type": "Exact", "value": "/v1/models/digits:predict"}},
    ]
    assert [one["path"]["value"] for one in matches(own, ["digits"], ("v2",))] == ["/v2/models/digits"]
    both = ["/v2/models/digits", "/v2/models/drafts"]
    assert [one["path"]["value"] for one in matches(own, ["digits", "drafts"], ("v2",))] == both


def test_a_route_sends_all_requests_to_one_service_or_shares_them() -> None:
    assert backends(KubernetesParams(), "digits", 443) == [{"name": "digits", "port": 443}]
    shared = KubernetesParams(gateway_weights={"digits": 9, "next": 1})
    assert backends(shared, "digits", 443) == [
        {"name": "digits", "port": 443, "weight": 9},
        {"name": "next", "port": 443, "weight": 1},
    ]


def test_a_revision_is_named_or_the_latest() -> None:
    assert revisions({"digits-00001": 90, "latest": 10}) == [
        {"revisionName": "digits-00001", "latestRevision": False, "percent": 90},
        {"latestRevision": True, "percent": 10},
    ]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"digits": 90, "next": 10}, None),
        ({"digits": 0, "next": 1}, None),
        ({"next": 10}, "the target's own Service, 'digits', has none"),
        ({"digits": 1, "A b": 1}, "'A b' names no Service"),
        ({"digits": 1, "next": -1}, "next: -1 is no weight"),
        ({"digits": 1_000_001}, "digits: 1000001 is no weight"),
        ({"digits": 0, "next": 0}, "no Service would get a request"),
        ({"digits": 1, **{f"s{number}": 1 for number in range(16)}}, "17 Services are too many"),
    ],
)
def test_weights_that_make_no_sense_are_told(weights: dict[str, Any], said: str | None) -> None:
    found = [problem.why for problem in weights_problems(KubernetesParams(gateway_weights=weights), "digits")]
    assert found == ([said] if said else [])


def test_the_own_service_is_called_as_the_target_says() -> None:
    weights = {"other": 1, "digits": 1}
    assert not list(weights_problems(KubernetesParams(name="other", gateway_weights=weights), "net"))
    assert not list(weights_problems(KubernetesParams(), "net"))


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ({}, []),
        ({"digits-00001": 90, "latest": 10}, []),
        ({"other-00001": 90, "latest": 10}, ["'other-00001' is no revision of 'digits'"]),
        ({"digits-A": 100}, ["'digits-A' is no revision of 'digits'"]),
        ({"latest": 99}, ["the shares are 99 percent together"]),
        ({"digits-1": 101, "latest": -1}, ["digits-1: 101 is no share", "latest: -1 is no share"]),
    ],
)
def test_shares_that_make_no_sense_are_told(traffic: dict[str, int], said: list[str]) -> None:
    assert [problem.why for problem in traffic_problems(traffic, "digits")] == said
