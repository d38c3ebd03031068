from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.renders import target_context

from modelyard.kubernetes.knative_params import KnativeParams
from modelyard.kubernetes.knative_values import as_kubernetes, filters, problems, values
from modelyard.serving.events.names import RESULT

Values = Callable[..., dict[str, Any]]
EVENTS: dict[str, Any] = {"broker": "default", "event_types": ("picture.seen",), "dead_letter": "broker"}


@pytest.fixture
def of(tmp_path: Path) -> Values:
    """Return a function that gives the values of parameters."""
    numbers = iter(range(100))
    return lambda **params: values(target_context(tmp_path, str(next(numbers))), KnativeParams(**params))


def found(**params: Any) -> list[str]:
    """Return the keys of what is wrong, and see that each says what to do."""
    told = list(problems(KnativeParams(**params)))
    assert all(one.why and one.instead for one in told)
    return [one.key for one in told]


def test_behind_knatives_proxy_a_pod_speaks_plain_http_and_drains_no_longer_than_a_request_may_take() -> None:
    p = as_kubernetes(KnativeParams(name="next", cpu="2", cpu_limit="4", timeout_s=7, env={"A": "1"}))
    assert (p.name, p.cpu, p.cpu_limit, p.env) == ("next", "2", "4", {"A": "1"})
    assert (p.tls, p.drain_s, p.grace_s) == (False, 0, 7)
    assert as_kubernetes(KnativeParams(timeout_s=600)).grace_s == 20


def test_pods_scale_between_bounds_and_by_a_target_if_there_is_one(of: Values) -> None:
    scaling = {"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/max-scale": "6"}
    plain, targeted = of()["pod_annotations"], of(target_concurrency=5)["pod_annotations"]
    assert plain.items() >= scaling.items()
    assert "autoscaling.knative.dev/target" not in plain
    assert targeted["autoscaling.knative.dev/target"] == "5"
    assert plain["modelyard.dev/model-variant"] == "small"


def test_a_service_is_the_clusters_own_unless_it_is_public(of: Values) -> None:
    key = "networking.knative.dev/visibility"
    assert of()["service_labels"][key] == "cluster-local"
    assert key not in of(public=True)["service_labels"]


def test_without_a_broker_nobody_is_let_in_without_a_password(of: Values) -> None:
    one = of(env={"TZ": "UTC"})["env"]
    assert not [name for name in one if "EVENTS" in name]
    assert (one["TZ"], one["MODELYARD_USERNAME_FILE"]) == ("UTC", "/etc/modelyard/auth/username")
    assert of(**EVENTS)["env"]["MODELYARD_EVENTS_AUTH"] == "none"
    own = {"MODELYARD_EVENTS_AUTH": "basic"}
    assert of(**EVENTS, env=own)["env"]["MODELYARD_EVENTS_AUTH"] == "basic", "what the person says comes last"


def test_tokens_of_the_cluster_are_checked_with_what_the_pod_is_given(of: Values) -> None:
    made = of(**EVENTS, audience="digits", namespace="models")
    told = {k.removeprefix("MODELYARD_EVENTS_"): v for k, v in made["env"].items() if "EVENTS" in k}
    assert told == {
        "AUTH": "oidc",
        "OIDC_ISSUER": "https://kubernetes.default.svc.cluster.local",
        "OIDC_AUDIENCE": "digits",
        "OIDC_SUBJECTS": "system:serviceaccount:models:*",
        "OIDC_CA_FILE": "/etc/modelyard/issuer/ca.crt",
        "OIDC_TOKEN_FILE": "/etc/modelyard/issuer/token",
    }
    assert (made["issuer_path"], made["issuer_ports"]) == ("/etc/modelyard/issuer", [443, 6443])


def test_tokens_of_another_issuer_are_checked_as_the_image_trusts(of: Values) -> None:
    made = of(**EVENTS, audience="digits", issuer="https://id.example:8443/x", senders=("a", "b*"))
    assert made["env"]["MODELYARD_EVENTS_OIDC_SUBJECTS"] == "a b*"
    assert "MODELYARD_EVENTS_OIDC_TOKEN_FILE" not in made["env"]
    assert (made["issuer_path"], made["issuer_ports"]) == ("", [6443, 8443])
    assert (of(**EVENTS)["issuer_path"], of(**EVENTS)["issuer_ports"]) == ("", [])


@pytest.mark.parametrize(
    ("types", "more", "expected"),
    [
        ((), (), []),
        (("a",), (), [{"exact": {"type": "a"}}]),
        (("a", "b"), (), [{"any": [{"exact": {"type": "a"}}, {"exact": {"type": "b"}}]}]),
        (("a",), ({"prefix": {"source": "/x"}},), [{"exact": {"type": "a"}}, {"prefix": {"source": "/x"}}]),
        ((), ({"cesql": "true"},), [{"cesql": "true"}]),
    ],
)
def test_one_of_the_types_and_all_else_must_be_met(
    types: tuple[str, ...], more: tuple[dict[str, Any], ...], expected: list[dict[str, Any]]
) -> None:
    assert filters(KnativeParams(event_types=types, filters=more)) == expected


@pytest.mark.parametrize(
    ("where", "sink"),
    [
        ("https://dead.example/x", {"uri": "https://dead.example/x"}),
        ("Broker/dead", {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "dead"}}),
        ("Channel/dead", {"ref": {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "dead"}}),
        ("Service/dead", {"ref": {"apiVersion": "v1", "kind": "Service", "name": "dead"}}),
        ("KnativeService/dead", {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "dead"}}),
        ("broker", {}),
        ("", {}),
    ],
)
def test_dead_letters_go_where_it_is_said(of: Values, where: str, sink: dict[str, Any]) -> None:
    made = of(**{**EVENTS, "dead_letter": where}, annotations={"a": "1"})
    assert made["sink"] == sink
    assert made["annotations"] == {"a": "1"}
    assert ("modelyard.dev/skip" in made["trigger_annotations"]) is (where == "broker")
    assert made["trigger_annotations"].items() >= {"a": "1"}.items()


def test_what_is_asked_of_the_trigger_and_the_revisions(of: Values) -> None:
    assert [of(reply=one)["path"] for one in (True, False)] == ["/events", "/events?reply=none"]
    assert of()["traffic"] == []
    shares = of(traffic={"digits-00001": 90, "latest": 10})["traffic"]
    assert [one["percent"] for one in shares] == [90, 10]
    assert [one["name"] for one in of()["open_ports"]] == [8012, 8013, 8112, 9090, 9091]
    own = of(**EVENTS, concurrency=3, timeout_s=9, retries=2, retry_delay_s=4)
    assert [own[key] for key in ("broker", "concurrency", "timeout_s", "retries", "retry_delay_s")] == [
        "default",
        3,
        9,
        2,
        4,
    ]


@pytest.mark.parametrize(
    "params",
    [
        EVENTS,
        {**EVENTS, "filters": ({"not": {"cesql": "false"}},), "dead_letter": "https://dead.example"},
        {**EVENTS, "event_types": (), "reply": False},
        {**EVENTS, "event_types": (), "filters": ({"exact": {"type": "a"}},)},
        {**EVENTS, "audience": "a", "namespace": "models"},
        {**EVENTS, "audience": "a", "senders": ("*",), "issuer": "https://id.example/a/b"},
        {"min_scale": 7, "max_scale": 0},
        {"min_scale": 7, "max_scale": 7},
        {"concurrency": 3, "target_concurrency": 3},
        {"concurrency": 0, "target_concurrency": 3},
    ],
)
def test_what_knative_allows_is_allowed(params: dict[str, Any]) -> None:
    assert found(**params) == []


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"min_scale": 3, "max_scale": 2}, "max_scale"),
        ({"concurrency": 2, "target_concurrency": 3}, "target_concurrency"),
        ({"event_types": ("a",)}, "event_types"),
        ({"filters": ({"exact": {}},)}, "filters"),
        ({"dead_letter": "broker"}, "dead_letter"),
        ({"audience": "a"}, "audience"),
        ({**EVENTS, "broker": "A B"}, "broker"),
        ({**EVENTS, "event_types": ()}, "event_types"),
        ({**EVENTS, "event_types": ("a", RESULT)}, "event_types"),
        ({**EVENTS, "filters": ({"exactly": {"type": "a"}},)}, "filters"),
        ({**EVENTS, "filters": ({"exact": {"type": "a"}, "prefix": {"type": "a"}},)}, "filters"),
        ({**EVENTS, "dead_letter": ""}, "dead_letter"),
        ({**EVENTS, "dead_letter": "Queue/dead"}, "dead_letter"),
        ({**EVENTS, "dead_letter": "Broker/"}, "dead_letter"),
        ({**EVENTS, "dead_letter": "Broker/A_b"}, "dead_letter"),
        ({**EVENTS, "senders": ("a",)}, "senders"),
        ({**EVENTS, "audience": "a"}, "audience"),
        ({**EVENTS, "audience": "a", "senders": ("a b",)}, "senders"),
        ({**EVENTS, "audience": "a", "senders": ("",)}, "senders"),
        ({**EVENTS, "audience": "a", "senders": ("a",), "issuer": "http://i"}, "issuer"),
        ({**EVENTS, "audience": "a", "senders": ("a",), "issuer": "https://i/x?y"}, "issuer"),
        ({**EVENTS, "audience": "a", "senders": ("a",), "issuer": "https://a@i"}, "issuer"),
        ({"cpu": "much"}, "cpu"),
        ({"namespace": "A"}, "namespace"),
    ],
)
def test_what_it_does_not_is_told_by_its_parameter(params: dict[str, Any], key: str) -> None:
    assert found(**params) == [key]


def test_a_form_that_is_asked_for_is_said_whole() -> None:
    [told] = problems(KnativeParams(**{**EVENTS, "dead_letter": "Queue/dead"}))
    assert told.why == "'Queue/dead' is no sink"
    assert (
        told.instead == "allowed: KIND/NAME with a KIND of Broker, Channel, Service, KnativeService; a URL; or 'broker'"
    )
