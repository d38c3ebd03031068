from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from tests.plugins.targets.definitions import needs_definitions, problems
from tests.plugins.targets.kubernetes_objects import objects

from modelyard.errors import ConfigError
from modelyard.kubernetes.checking import check
from modelyard.kubernetes.rendered import Checked, check_rendered
from modelyard.serving.settings import KNOWN
from modelyard.typed_params import taking_values
from modelyard_plugins.targets.knative import knative as _knative

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext

EVENTS: dict[str, Any] = {"broker": "default", "event_types": ("picture.seen",), "dead_letter": "KnativeService/dead"}
knative = taking_values(_knative)


@pytest.fixture
def render(context: Callable[..., TargetContext]) -> Callable[..., dict[str, Any]]:
    """Render, check as the render stage does, and return the objects by kind."""

    def made(**params: Any) -> dict[str, Any]:
        one = context()
        knative(one, namespace="models", **params)
        found = objects(one)
        checked = check_rendered(one.out, name="digits", image=one.image.reference, log=print, warn=print)
        assert checked == Checked(len(found), 0)
        return found

    return made


def container(service: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(service)["env"]}


def test_a_service_scales_to_zero_and_is_the_clusters_own(render: Callable[..., dict[str, Any]]) -> None:
    found = render()
    assert list(found) == ["ServiceAccount", "Service"]
    service = found["Service"]
    assert service["metadata"]["labels"]["networking.knative.dev/visibility"] == "cluster-local"
    template = service["spec"]["template"]
    scale = {key: value for key, value in template["metadata"]["annotations"].items() if "autoscaling" in key}
    assert scale == {"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/max-scale": "6"}
    assert container(service)["ports"] == [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}]
    assert set(environment(service)) <= set(KNOWN) | {f"{name}_FILE" for name in KNOWN}
    assert "MODELYARD_EVENTS_AUTH" not in environment(service)
    public = render(public=True, min_scale=1, max_scale=0, target_concurrency=4, concurrency=8)["Service"]
    assert "networking.knative.dev/visibility" not in public["metadata"]["labels"]
    assert public["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/target"] == "4"
    assert public["spec"]["template"]["spec"]["containerConcurrency"] == 8


def test_its_pods_are_as_strict_as_those_of_a_deployment(render: Callable[..., dict[str, Any]]) -> None:
    found = render()
    pods = copy.deepcopy(found["Service"])
    template = pods["spec"]["template"]
    for serving in ("containerConcurrency", "timeoutSeconds"):
        del template["spec"][serving]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container(pods)[probe]["httpGet"]["port"] = "http1"
    template["spec"]["restartPolicy"] = "Always"
    selector = {"matchLabels": {"app.kubernetes.io/instance": "digits"}}
    deployment = {
        **pods,
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"template": template, "selector": selector},
    }
    broken = {finding.rule for finding in check([found["ServiceAccount"], deployment], image=container(pods)["image"])}
    autoscaled = {"replicas", "rolling-update", "budget-exists", "spread", "rollout-bounds"}
    assert broken == autoscaled | {"volume-group", "network-policy"}
    assert template["spec"]["volumes"][1]["secret"]["defaultMode"] == 0o444


def test_a_trigger_brings_events_and_takes_answers(render: Callable[..., dict[str, Any]]) -> None:
    found = render(**EVENTS, retries=3, retry_delay_s=2)
    spec = found["Trigger"]["spec"]
    assert spec["filters"] == [{"exact": {"type": "picture.seen"}}]
    assert spec["subscriber"]["uri"] == "/events"
    dead = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "dead"}}
    expected = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT2S", "timeout": "PT60S"}
    assert spec["delivery"] == {**expected, "deadLetterSink": dead}
    assert environment(found["Service"])["MODELYARD_EVENTS_AUTH"] == "none"


def test_events_are_asked_for_a_token_that_the_cluster_signs(render: Callable[..., dict[str, Any]]) -> None:
    found = render(**EVENTS, audience="digits.models", allow_namespaces=("knative-serving",))
    assert found["Trigger"]["spec"]["subscriber"]["audience"] == "digits.models"
    told = {key: value for key, value in environment(found["Service"]).items() if "EVENTS" in key}
    assert told == {
        "MODELYARD_EVENTS_AUTH": "oidc",
        "MODELYARD_EVENTS_OIDC_ISSUER": "https://kubernetes.default.svc.cluster.local",
        "MODELYARD_EVENTS_OIDC_AUDIENCE": "digits.models",
        "MODELYARD_EVENTS_OIDC_SUBJECTS": "system:serviceaccount:models:*",
        "MODELYARD_EVENTS_OIDC_CA_FILE": "/etc/modelyard/issuer/ca.crt",
        "MODELYARD_EVENTS_OIDC_TOKEN_FILE": "/etc/modelyard/issuer/token",
    }
    [volume] = [one for one in found["Service"]["spec"]["template"]["spec"]["volumes"] if one["name"] == "issuer"]
    assert [next(iter(one)) for one in volume["projected"]["sources"]] == ["serviceAccountToken", "configMap"]
    [rule] = found["NetworkPolicy"]["spec"]["egress"]
    assert [one["port"] for one in rule["ports"]] == [53, 53, 443, 6443]
    outside = render(**EVENTS, audience="a", issuer="https://oidc.example/id/7", senders=("x:y", "z*"))["Service"]
    assert environment(outside)["MODELYARD_EVENTS_OIDC_SUBJECTS"] == "x:y z*"
    assert "MODELYARD_EVENTS_OIDC_TOKEN_FILE" not in environment(outside)
    assert "issuer" not in {one["name"] for one in outside["spec"]["template"]["spec"]["volumes"]}


@pytest.mark.parametrize(
    ("where", "sink"),
    [
        ("https://dead.example/x", {"uri": "https://dead.example/x"}),
        ("Broker/dead", {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "dead"}}),
        ("Channel/dead", {"ref": {"apiVersion": "messaging.knative.dev/v1", "kind": "Channel", "name": "dead"}}),
        ("Service/dead", {"ref": {"apiVersion": "v1", "kind": "Service", "name": "dead"}}),
        ("broker", None),
    ],
)
def test_dead_letters_go_where_it_is_said(render: Callable[..., dict[str, Any]], where: str, sink: Any) -> None:
    delivery = render(**{**EVENTS, "dead_letter": where})["Trigger"]["spec"]["delivery"]
    assert delivery.get("deadLetterSink") == sink


def test_several_types_and_other_filters_are_met_together(render: Callable[..., dict[str, Any]]) -> None:
    more = {"prefix": {"source": "/cameras"}}
    filters = render(**{**EVENTS, "event_types": ("a", "b")}, filters=(more,))["Trigger"]["spec"]["filters"]
    assert filters == [{"any": [{"exact": {"type": "a"}}, {"exact": {"type": "b"}}]}, more]
    silent = render(broker="default", dead_letter="broker", reply=False)["Trigger"]["spec"]
    assert silent["subscriber"]["uri"] == "/events?reply=none"
    assert "filters" not in silent


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"event_types": ["a"]}, "there is no Trigger that it is for"),
        ({**EVENTS, "event_types": []}, "would come back to it"),
        ({**EVENTS, "event_types": ["a", "dev.modelyard.inference.result"]}, "would come back to it"),
        ({**EVENTS, "event_types": [], "filters": [{"exact": {"subject": "a"}}]}, "would come back to it"),
        ({**EVENTS, "filters": [{"exactly": {"type": "a"}}]}, "is no filter"),
        ({**EVENTS, "dead_letter": ""}, "an event that cannot be answered would be lost"),
        ({**EVENTS, "dead_letter": "Queue/dead"}, "is no sink"),
        ({**EVENTS, "dead_letter": "Broker/"}, "is no sink"),
        ({**EVENTS, "broker": "A B"}, "broker"),
        ({**EVENTS, "audience": "a", "namespace": "models"}, "cannot check tokens"),
        ({**EVENTS, "audience": "a"}, "whose are good?"),
        ({"audience": "a"}, "there is no Trigger that it is for"),
        ({**EVENTS, "senders": ["a"]}, "events are asked for no token"),
        ({**EVENTS, "audience": "a", "senders": ["a b"]}, "told apart by spaces"),
        ({**EVENTS, "audience": "a", "senders": ["a"], "issuer": "http://i"}, "is no address of an issuer"),
        ({"min_scale": 3, "max_scale": 2}, "it is below min_scale = 3"),
        ({"concurrency": 2, "target_concurrency": 3}, "never given more than concurrency = 2"),
        ({"cpu": "much"}, "it is not a quantity above 0"),
        ({"memory": "16Mi"}, "too little"),
        ({"env": {"MODELYARD_PORT": "1"}}, "is set by modelyard"),
        ({"namespace": "A"}, "is not a DNS label"),
        ({"allow_namespaces": ["A"]}, "is not a DNS label"),
    ],
)
def test_what_is_not_allowed_is_refused(accept: Callable[..., None], params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "knative", **params)
    assert said in str(caught.value)


def test_the_pods_are_reached_by_knative_alone_if_its_namespaces_are_named(
    render: Callable[..., dict[str, Any]],
) -> None:
    found = render(allow_namespaces=("knative-serving", "kourier-system"))
    spec = found["NetworkPolicy"]["spec"]
    labels = found["Service"]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    [rule] = spec["ingress"]
    assert [one["port"] for one in rule["ports"]] == [
        8012,
        8013,
        8112,
        9090,
        9091,
    ]  # not the server's own, past the proxy
    [expression] = rule["from"][0]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["knative-serving", "kourier-system"]
    assert (spec["policyTypes"], spec.get("egress")) == (["Ingress", "Egress"], None)


def test_revisions_share_the_requests_and_the_model_may_be_called_otherwise(
    render: Callable[..., dict[str, Any]], accept: Callable[..., None]
) -> None:
    assert "traffic" not in render()["Service"]["spec"]
    service = render(traffic={"digits-00001": 90, "latest": 10}, model_name="Digits.v2")["Service"]
    assert service["spec"]["traffic"] == [
        {"revisionName": "digits-00001", "latestRevision": False, "percent": 90},
        {"latestRevision": True, "percent": 10},
    ]
    assert environment(service)["MODELYARD_MODEL_NAME"] == "Digits.v2"
    with pytest.raises(ConfigError, match=r"'traffic': .* the shares are 90 percent together"):
        accept("target", "knative", traffic={"latest": 90})


@needs_definitions
def test_the_objects_are_what_knatives_definitions_allow(render: Callable[..., dict[str, Any]]) -> None:
    auth = {"auth_secret": "a", "image_pull_secrets": ("registry",), "env": {"TZ": "UTC"}}
    shares = {"traffic": {"digits-00001": 90, "latest": 10}, "audience": "digits.models"}
    found = render(**EVENTS, **auth, **shares, filters=({"not": {"cesql": "false"}},))
    for kind, file, part in (
        ("Service", "serving.knative.dev_services.yaml", "template"),
        ("Trigger", "eventing.knative.dev_triggers.yaml", "subscriber"),
    ):
        assert problems(found[kind], file) == []
        misspelt = copy.deepcopy(found[kind])
        misspelt["spec"][part]["specc"] = {}
        assert "specc" in problems(misspelt, file)[0]


def test_a_server_of_several_models_is_brought_no_events(accept: Callable[..., None]) -> None:
    with pytest.raises(ConfigError, match="answers no events: nothing says which model an event is for"):
        accept(
            "target", "knative", {"models": ("net/1", "net/2")}, broker="main", event_types=["a"], dead_letter="broker"
        )
