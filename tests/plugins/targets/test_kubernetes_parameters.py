"""What a user writes is rendered as it was written, or refused in the words of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plugins.targets.kubernetes_objects import ALL, looked_at, objects, pod
from tests.targets import kubernetes

from modelyard.errors import ConfigError
from modelyard.kubernetes.rendered import Checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "on",
        "1.0",
        "null",
        "~",
        "'",
        '"',
        "{{ name }}",
        "{% if %}",
        "a: b",
        "a\nb: c",
        "---",
        "# a",
        "x', y: '",
        "\u2028",
        "$(A)",
    ]
)
KEYS = st.from_regex(r"([a-z]{1,4}\.[a-z]{2}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True)
LABELS = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?", fullmatch=True)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    annotations=st.dictionaries(KEYS, TEXT, max_size=4),
    labels=st.dictionaries(KEYS, LABELS | st.just("on"), max_size=4),
    env=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), TEXT, max_size=4),
)
def test_what_a_user_writes_is_read_back_exactly(
    context: Callable[..., TargetContext], annotations: dict[str, str], labels: dict[str, str], env: dict[str, str]
) -> None:
    annotations.pop("modelyard.dev/skip", None)
    made = context()
    kubernetes(made, annotations=annotations, labels=labels, env=env)
    assert {one["name"]: one["value"] for one in pod(made)["containers"][0].get("env", [])} == env
    for one in objects(made).values():
        assert annotations.items() <= one["metadata"].get("annotations", {}).items()
        assert labels.items() <= one["metadata"]["labels"].items()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_text_in_any_parameter_is_right_or_refused_and_changes_no_structure(
    context: Callable[..., TargetContext], accept: Callable[..., None], data: st.DataObject
) -> None:
    keys = (
        "namespace",
        "auth_secret",
        "tls_secret",
        "ingress_class",
        "ingress_tls_secret",
        "priority_class",
        "cpu",
        "memory",
        "tmp_size",
        "name",
        "gpu_resource",
        "tls_server_name",
        "gateway",
        "gateway_listener",
        "gateway_ca",
    )
    around = {"ingress_host": "a.example", "gpus": 1, "service_monitor": True, "gateway": "web"}
    key = data.draw(st.sampled_from(keys))
    text = data.draw(TEXT)
    made = context(version=data.draw(TEXT))
    refused = ""
    try:
        accept("target", "kubernetes", **{**around, key: text})
    except ConfigError as exc:
        refused = str(exc)
    if refused:
        assert refused.startswith((f"here: key '{key}'", f"here: key '{key}_limit'"))  # a request above its limit
    else:
        kubernetes(made, **{**around, key: text})
        assert len(objects(made)) == (
            9 if key == "gateway" and not text else 11 if key == "gateway_ca" and text else 10
        )


QUANTITY = "it is not a quantity above 0\n  allowed: a number above 0 with a suffix"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"namespace": "My Space"},
            "'namespace': 'My Space' is not allowed: 'My Space' is not a DNS label\n  allowed: lower",
        ),
        (
            {"create_namespace": True},
            "'create_namespace': True is not allowed: it needs a namespace\n  allowed with: namespace",
        ),
        ({"memory": "256 MB"}, f"'memory': '256 MB' is not allowed: {QUANTITY}"),
        ({"memory": "256MB"}, f"'memory': '256MB' is not allowed: {QUANTITY}"),
        ({"memory": "0"}, f"'memory': '0' is not allowed: {QUANTITY}"),
        (
            {"memory": "64Mi"},
            "'memory': '64Mi' is not allowed: 64Mi is too little for a worker of 56Mi and bodies of 8388608 bytes\n  give 110Mi or more",
        ),
        ({"cpu": "2"}, "'cpu_limit': '1' is not allowed: it is below cpu = '2'\n  allowed: '2' or more"),
        (
            {"workers": "auto", "cpu_limit": ""},
            "'workers': 'auto' is not allowed: without cpu_limit a pod has a worker for each cpu of its node",
        ),
        (
            {"workers": 3, "memory": "256Mi"},
            "'memory': '256Mi' is not allowed: 256Mi is too little for 3 workers of 56Mi",
        ),
        (
            {"memory": "1Gi", "memory_limit": "300Mi"},
            "'memory_limit': '300Mi' is not allowed: it is below memory = '1Gi'",
        ),
        (
            {"replicas": 9},
            "'max_replicas': 6 is not allowed: it is below replicas = 9\n  allowed: 9 (no autoscaler) or more",
        ),
        ({"kubernetes_version": "1.28"}, "'kubernetes_version': '1.28' is not allowed: no such version is known"),
        ({"kubernetes_version": "latest"}, "'kubernetes_version': 'latest' is not allowed"),
        ({"labels": {"team": "a b"}}, "'a b' is not a label's value"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "'app.kubernetes.io/name' is set by modelyard"),
        ({"annotations": {"a b": "c"}}, "'a b' is not a key"),
        ({"node_selector": {"gpu": "yes please"}}, "'yes please' is not a label's value"),
        ({"image_pull_secrets": ("A",)}, "'A' is not a DNS name"),
        ({"allow_namespaces": ("A",)}, "'A' is not a DNS label"),
        ({"name": "a" * 53}, "the names of the objects begin with it"),
        ({"env": {"1A": "x"}}, "'1A' is no variable"),
        ({"env": {"MODELYARD_PORT": "1"}}, "'MODELYARD_PORT' is set by modelyard\n  set port"),
        ({"env": {"MODELYARD_MAX_BACH": "1"}}, "no setting 'MODELYARD_MAX_BACH', did you mean 'MODELYARD_MAX_BATCH'?"),
        ({"env": {"A_FILE": "x"}, "env_from_secrets": {"A": "s/k"}}, "'A_FILE' is in env_from_secrets, too"),
        ({"env_from_secrets": {"A": "secret"}}, "A: 'secret' names no key of a Secret\n  allowed: 'SECRET/KEY'"),
        ({"spread_over": ("a b",)}, "'a b' is not a key"),
        ({"gpus": 1, "gpu_resource": "gpu"}, "it is not what a device plugin is called"),
        ({"allow_scrapers": ("monitoring",)}, "every namespace may send requests"),
        ({"service_monitor_labels": {"a": "b c"}}, "'b c' is not a label's value"),
        ({"tls_server_name": "a.example"}, "nobody asks for it"),
        (
            {"around": {"reads_settings": False}, "auth": False, "tls": False, "service_monitor": True},
            "'service_monitor': True is not allowed: the server of the runtime 'served' has its metrics elsewhere",
        ),
        ({"ingress_host": "https://a.example/x"}, "a host has no scheme 'https://'\n  allowed: 'a.example'"),
        ({"ingress_host": "a.example:80"}, "a host has neither port nor path\n  allowed: 'a.example'"),
        ({"gateway": "web/"}, "it names no Gateway\n  allowed: 'NAME' or 'NAMESPACE/NAME'"),
        ({"gateway": "a/b/web"}, "it names no Gateway"),
        (
            {"gateway": "web", "gateway_hosts": ("a.example:80",)},
            "'gateway_hosts': ('a.example:80',) is not allowed: a host",
        ),
        ({"gateway_hosts": ("a.example",)}, "there is no HTTPRoute that it is for\n  set gateway, or remove it"),
        ({"gateway": "web", "gateway_ca": "ca", "tls": False}, "the pods serve without TLS"),
        ({"gateway_models": True}, "there is no HTTPRoute that it is for\n  set gateway, or remove it"),
        (
            {"gateway": "web", "gateway_weights": {"next": 1}},
            "'gateway_weights': {'next': 1} is not allowed: the target's",
        ),
        ({"model_name": "a/b"}, "'model_name': 'a/b' is not allowed: it is a part of URLs"),
        ({"around": {"reads_settings": False}, "model_name": "a"}, "the server has it from its image\n  remove it"),
        ({"env": {"MODELYARD_MODEL_NAME": "a"}}, "is set by modelyard\n  set model_name"),
        ({"ingress_host": "A_example"}, "it is not a DNS name\n  allowed: lower-case letters"),
        ({"port": 443}, "'port': 443 is not allowed: no such port"),
        ({"service_port": 70000}, "'service_port': 70000 is not allowed: there is no such port"),
        (
            {"proxy_image": "nginx"},
            "it has no effect: the runtime's server has a password and TLS of its own\n  remove it",
        ),
        (
            {"around": {"reads_settings": False}},
            "'proxy_image' is missing: the server of the runtime 'served' has neither password",
        ),
    ],
)
def test_what_kubernetes_does_not_allow_is_said_in_the_words_of_the_configuration(
    accept: Callable[..., None], params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", **params)
    assert said in str(caught.value)


def test_the_longest_name_that_a_project_may_have_fits_every_object(context: Callable[..., TargetContext]) -> None:
    made = context(name="a" * 52)
    kubernetes(made, **ALL)
    assert looked_at(made) == Checked(9, 0)


def test_all_that_is_wrong_is_said_at_once(accept: Callable[..., None]) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", memory="256MB", namespace="My NS", replicas=9)
    assert [line.split("'")[1] for line in str(caught.value).splitlines()[::2]] == [
        "namespace",
        "max_replicas",
        "memory",
    ]
