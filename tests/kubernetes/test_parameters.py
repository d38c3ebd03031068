from __future__ import annotations

from typing import Any

import pytest

from modelyard.kubernetes.parameters import _QUANTITIES, _SET, problems, several_problems
from modelyard.kubernetes.syntax import quantity
from modelyard.kubernetes.target_params import KubernetesParams
from modelyard.serving.settings import KNOWN

Found = list[tuple[str, str]]


def found(*, reads_settings: bool = True, **params: Any) -> Found:
    """Return the key and the reason of each problem, and see that each says what to do."""
    told = list(problems(KubernetesParams(**params), reads_settings=reads_settings))
    assert all(one.instead for one in told)
    return [(one.key, one.why) for one in told]


@pytest.mark.parametrize(
    "params",
    [
        {"name": "a" * 52, "namespace": "n" * 63, "create_namespace": True},
        {"allow_namespaces": ("a",), "allow_scrapers": ("b",)},
        {"model_name": "Digits_v2.0-x"},
        {"env": {"TZ": "UTC", "MODELYARD_MAX_BATCH": "8"}, "env_from_secrets": {"_TOKEN1": "backend.a/token.txt"}},
        {"gpus": 1, "gpu_resource": "amd.com/gpu"},
        {"spread_over": ()},
        {"labels": {"team": "vision"}, "node_selector": {"a.example/b": ""}, "annotations": {"a": "any text: at all"}},
        {"ingress_host": "*.example.org", "ingress_annotations": {"a.b/c": "d"}},
        {"gateway": "infra/web", "gateway_hosts": ("a.example", "*.example"), "gateway_ca": "ca"},
        {"gateway": "web", "gateway_models": True, "gateway_weights": {"digits": 1}, "gateway_listener": "https"},
        {"replicas": 3, "max_replicas": 3},
        {"kubernetes_version": "1.29", "port": 65535, "service_port": 65535},
        {"port": 1024},
        {"cpu": "500m", "cpu_limit": "0.5", "memory": "1Gi", "memory_limit": "1024Mi"},
        {"cpu_limit": "", "memory_limit": ""},
        {"workers": "auto", "cpu_limit": "4"},
        {"tls_server_name": "a.example", "service_monitor": True},
        {"scale_on": ({"type": "cron", "metadata": {"start": "0 8 * * *"}},), "scale_secrets": {"p": "s/k"}},
        {"scale_on": ({"type": "cron", "metadata": {}},), "scale_to_zero": True},
    ],
)
def test_what_kubernetes_allows_is_allowed(params: dict[str, Any]) -> None:
    assert found(**params) == []


@pytest.mark.parametrize(
    ("params", "key", "why"),
    [
        ({"name": "a" * 53}, "name", "the names of the objects begin with it"),
        ({"name": "-a"}, "name", "the names of the objects begin with it"),
        ({"namespace": "n" * 64}, "namespace", f"{'n' * 64!r} is not a DNS label"),
        ({"allow_namespaces": ("a", "B")}, "allow_namespaces", "'B' is not a DNS label"),
        ({"tls_secret": "A_b"}, "tls_secret", "'A_b' is not a DNS name"),
        ({"priority_class": "x y"}, "priority_class", "'x y' is not a DNS name"),
        ({"image_pull_secrets": ("a", "")}, "", ""),
        ({"model_name": "a" * 101}, "model_name", "it is a part of URLs"),
        ({"model_name": "a\n"}, "model_name", "it is a part of URLs"),
        ({"env": {"A-B": ""}}, "env", "'A-B' is no variable"),
        ({"env_from_secrets": {"A B": "s/k"}}, "env_from_secrets", "'A B_FILE' is no variable"),
        ({"env_from_secrets": {"A": "s/"}}, "env_from_secrets", "A: 's/' names no key of a Secret"),
        ({"env_from_secrets": {"A": "S/k"}}, "env_from_secrets", "A: 'S/k' names no key of a Secret"),
        ({"env_from_secrets": {"A": "s/k/l"}}, "env_from_secrets", "A: 's/k/l' names no key of a Secret"),
        ({"env": {"A": "1"}, "env_from_secrets": {"A": "s/k"}}, "env", "'A' is in env_from_secrets, too"),
        ({"env": {"MODELYARD_THREADS": "1"}}, "env", "'MODELYARD_THREADS' is set by modelyard"),
        ({"env_from_secrets": {"MODELYARD_PASSWORD": "s/k"}}, "env_from_secrets", "'MODELYARD_PASSWORD_FILE' is set by modelyard"),
        ({"gpus": 1, "gpu_resource": "gpu"}, "gpu_resource", "it is not what a device plugin is called"),
        ({"gpu_resource": "gpu"}, "", ""),
        ({"labels": {"app.kubernetes.io/managed-by": "me"}}, "labels", "'app.kubernetes.io/managed-by' is set by modelyard"),
        ({"gateway": "/web"}, "gateway", "it names no Gateway"),
        ({"gateway_listener": "https"}, "gateway_listener", "there is no HTTPRoute that it is for"),
        ({"scale_secrets": {"p": "s/k"}}, "scale_secrets", "there is no ScaledObject that it is for"),
        ({"replicas": 2, "max_replicas": 1}, "max_replicas", "it is below replicas = 2"),
        ({"port": 1023}, "port", "no such port can be listened on without rights of root"),
        ({"port": 65536}, "port", "no such port can be listened on without rights of root"),
        ({"service_port": 65536}, "service_port", "there is no such port"),
        ({"kubernetes_version": "1.28"}, "kubernetes_version", "no such version is known"),
        ({"kubernetes_version": ""}, "kubernetes_version", "no such version is known"),
        ({"cpu": ""}, "cpu", "it is not a quantity above 0"),
        ({"cpu_limit": "x"}, "cpu_limit", "it is not a quantity above 0"),
        ({"cpu_limit": "100m"}, "cpu_limit", "it is below cpu = '250m'"),
        ({"tls_server_name": "a", "tls": False, "service_monitor": True}, "tls_server_name", "nobody asks for it"),
    ],
)  # fmt: skip
def test_what_it_does_not_is_told_by_its_parameter(params: dict[str, Any], key: str, why: str) -> None:
    assert found(**params) == ([(key, why)] if key else [])


@pytest.mark.parametrize(
    ("host", "instead"),
    [
        ("https://a.example/x", "allowed: 'a.example'"),
        ("a.example:80", "allowed: 'a.example'"),
        ("a.example/x", "allowed: 'a.example'"),
        ("a_b", "allowed: lower-case letters"),
        ("https://", "allowed: lower-case letters"),
        ("*", "allowed: lower-case letters"),
    ],
)
def test_a_host_is_a_name_alone_and_the_name_is_offered_where_there_is_one(host: str, instead: str) -> None:
    [ingress] = problems(KubernetesParams(ingress_host=host))
    [gateway] = problems(KubernetesParams(gateway="web", gateway_hosts=(host,)))
    assert (ingress.key, gateway.key) == ("ingress_host", "gateway_hosts")
    assert ingress.why == gateway.why
    assert ingress.instead.startswith(instead)


def test_a_memory_that_its_model_cannot_need_so_little_of_is_told_of_our_own_server_alone() -> None:
    [(key, why)] = found(memory="64Mi")
    assert (key, why) == ("memory", "64Mi is too little for a worker of 56Mi and bodies of 8388608 bytes")
    assert found(memory="80Mi", max_body_bytes=1024) == []
    assert len(found(memory="80Mi")) == 1
    assert found(memory="64Mi", reads_settings=False) == []
    assert [key for key, _ in found(memory="64Mi", memory_limit="65Mi")] == ["memory_limit"]
    assert "3 workers" in found(memory="256Mi", workers=3)[0][1]
    assert "4 workers" in found(memory="256Mi", workers="auto", cpu_limit="4")[0][1]
    assert found(workers="auto", cpu_limit="", reads_settings=False) == []
    assert [key for key, _ in found(workers="auto", cpu_limit="")] == ["workers"]


def test_another_server_takes_any_variable_and_no_name_of_a_model() -> None:
    assert found(env={"MODELYARD_PORT": "1"}, reads_settings=False) == []
    assert found(model_name="a", reads_settings=False) == [("model_name", "the server has it from its image")]


def test_a_setting_that_is_misspelt_is_told_with_the_one_that_may_be_meant() -> None:
    [(key, why)] = found(env={"MODELYARD_MAX_BACH": "1"})
    assert (key, why) == ("env", "the server has no setting 'MODELYARD_MAX_BACH', did you mean 'MODELYARD_MAX_BATCH'?")
    assert found(env_from_secrets={"MODELYARD_MAX_BACH": "s/k"})[0][0] == "env_from_secrets"
    assert found(env_from_secrets={"MODELYARD_MAX_BATCH": "s/k"}) == [], "any setting may be a file"


def test_each_setting_that_is_set_by_modelyard_is_the_servers_and_says_what_to_set() -> None:
    assert _SET.keys() <= set(KNOWN)
    for setting, instead in _SET.items():
        [told] = problems(KubernetesParams(env={setting: "x"}))
        assert told.instead == f"set {instead}"
        assert instead.startswith("nothing: ") or hasattr(KubernetesParams(), instead)


def test_triggers_are_told_apart_from_what_is_none() -> None:
    for one in ({}, {"type": "cron"}, {"type": 3, "metadata": {}}, {"type": "cron", "metadata": {"a": 1}}):
        told = found(scale_on=(one,))
        assert told == [("scale_on", f"{one!r} is no trigger of KEDA's")]
    cron = {"type": "cron", "metadata": {}}
    assert found(scale_on=(cron,), max_replicas=2) == [
        ("max_replicas", "it is replicas = 2, so that KEDA could add no pod")
    ]
    assert found(scale_on=(cron,), scale_secrets={"p": "s"}) == [("scale_secrets", "p: 's' names no key of a Secret")]


def test_several_models_have_each_their_own_name() -> None:
    named, plain = KubernetesParams(model_name="a"), KubernetesParams()
    assert [one.why for one in several_problems(named, ["a/1", "b/1"])] == [
        "the image serves 2 models, each by its own name"
    ]
    assert list(several_problems(plain, ["a/1"])) == list(several_problems(named, [])) == []


def test_what_is_left_out_is_a_quantity() -> None:
    assert {key: getattr(KubernetesParams(), key) for key in _QUANTITIES} == _QUANTITIES
    for value in filter(None, _QUANTITIES.values()):
        assert (quantity(value) or 0) > 0
