"""The objects for a server that has neither a password nor TLS: TensorFlow Serving, behind nginx or bare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.plugins.targets.kubernetes_objects import ALL, objects, pod
from tests.targets import kubernetes

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError
from modelyard.kubernetes.checking import check
from modelyard.kubernetes.deploying.secrets import needed_secrets
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.target_params import KubernetesParams
from modelyard_plugins.support import proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelyard.contexts import TargetContext

PROXY: dict[str, Any] = {"proxy_image": "nginxinc/nginx-unprivileged:1.29@sha256:" + "d" * 64}
BARE: dict[str, Any] = {"auth": False, "tls": False}


@pytest.fixture
def served(context: Callable[..., TargetContext]) -> Callable[..., TargetContext]:
    """A context whose image is one of TensorFlow Serving."""
    facts = ServerFacts(
        live="/v1/models/digits", ready="/v1/models/digits/versions/1/metadata", protocols=("v1",), grpc_port=8500,
        reads_settings=False,
    )  # fmt: skip
    return lambda: context(image=msgspec.structs.replace(context().image, port=8501, server=facts))


def containers(context: TargetContext) -> dict[str, Any]:
    return {one["name"]: one for one in pod(context)["containers"]}


def test_only_the_proxy_is_open_to_others(served: Callable[..., TargetContext]) -> None:
    made = served()
    kubernetes(made, **PROXY)
    assert check(objects_in(read_folder(made.out)), image=made.image.reference) == []
    found = objects(made)
    (port,) = found["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")
    assert found["NetworkPolicy"]["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": "https"}]}]
    both = containers(made)
    assert [(p["name"], p["containerPort"]) for p in both["server"]["ports"]] == [("rest", 8501), ("grpc", 8500)]
    assert [(p["name"], p["containerPort"]) for p in both["proxy"]["ports"]] == [("https", 8443)]


def test_the_proxy_reads_its_configuration_certificate_and_users_as_files(
    served: Callable[..., TargetContext],
) -> None:
    made = served()
    kubernetes(made, **PROXY, auth_secret="login", port=9443, max_body_bytes=77)
    both = containers(made)
    assert both["proxy"]["image"] == PROXY["proxy_image"]
    assert both["proxy"]["command"] == list(proxy.command(KubernetesParams(tls=True), "/etc/modelyard/tls"))
    assert "$" not in str(both["proxy"]["command"])
    assert both["proxy"]["command"][-1].endswith("exec nginx -e stderr -c /etc/modelyard/proxy/nginx.conf")
    mounts = {one["mountPath"] for one in both["proxy"]["volumeMounts"]}
    assert mounts == {"/tmp", "/etc/modelyard/proxy", "/etc/modelyard/auth", "/etc/modelyard/tls"}
    assert [one["mountPath"] for one in both["server"]["volumeMounts"]] == ["/tmp"]
    config = objects(made)["ConfigMap"]["data"]["nginx.conf"]
    for line in (
        "listen 9443 ssl http2;", "client_max_body_size 77;", "server 127.0.0.1:8501;", "grpc_pass grpc://127.0.0.1:8500;",
        "auth_basic_user_file /etc/modelyard/auth/htpasswd;", "ssl_certificate /etc/modelyard/tls/tls.crt;",
    ):  # fmt: skip
        assert line in config
    needed = needed_secrets(objects_in(read_folder(made.out)))
    assert [(one.name, one.keys) for one in needed] == [
        ("login", ("htpasswd",)),
        ("digits-tls", ("tls.crt", "tls.key")),
    ]


def test_the_probes_ask_what_tells_whether_the_model_can_be_asked(served: Callable[..., TargetContext]) -> None:
    """The status is 200 whatever state a model is in; the metadata of a version is 404 until that version is loaded."""
    made = served()
    kubernetes(made, **PROXY)
    server = containers(made)["server"]
    for probe in ("startupProbe", "readinessProbe"):
        asked = {"path": "/v1/models/digits/versions/1/metadata", "port": "rest", "scheme": "HTTP"}
        assert server[probe]["httpGet"] == asked
    assert server["livenessProbe"]["httpGet"]["path"] == "/v1/models/digits"
    assert containers(made)["proxy"]["livenessProbe"]["httpGet"] == {
        "path": "/healthz",
        "port": "https",
        "scheme": "HTTPS",
    }


def test_a_pod_that_stops_drains_through_the_proxy_before_the_server_ends(
    served: Callable[..., TargetContext],
) -> None:
    made, older = served(), served()
    kubernetes(made, **PROXY, drain_s=7, grace_s=11)
    both = containers(made)
    assert both["proxy"]["lifecycle"]["preStop"] == {"sleep": {"seconds": 7}}
    assert both["server"]["lifecycle"]["preStop"] == {"sleep": {"seconds": 18}}
    spec = objects(made)["Deployment"]["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] > 18
    kubernetes(older, **PROXY, drain_s=7, kubernetes_version="1.29")
    assert containers(older)["proxy"]["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "7"]}}


def test_a_change_of_the_proxys_configuration_rolls_the_pods(served: Callable[..., TargetContext]) -> None:
    marks = []
    for size in (1000, 2000):
        made = served()
        kubernetes(made, **PROXY, max_body_bytes=size)
        spec = objects(made)["Deployment"]["spec"]["template"]["spec"]
        marks += [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]
        assert marks[-1] == objects(made)["ConfigMap"]["metadata"]["name"]
    assert len(set(marks)) == len(marks) == 2


def test_without_password_and_tls_there_is_no_proxy(served: Callable[..., TargetContext]) -> None:
    made = served()
    kubernetes(made, **BARE)
    found = objects(made)
    assert list(containers(made)) == ["server"]
    assert "ConfigMap" not in found
    assert "envFrom" not in containers(made)["server"]
    opened = [(one["name"], one["port"], one["appProtocol"]) for one in found["Service"]["spec"]["ports"]]
    assert opened == [("rest", 80, "http"), ("grpc", 8500, "kubernetes.io/h2c")]
    assert [one["port"] for one in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == ["rest", "grpc"]


@pytest.mark.parametrize(
    ("minor", "params"),
    [*((minor, PROXY | ALL) for minor in range(29, 38)), (29, BARE | ALL), (37, BARE | ALL)],
)
def test_the_objects_are_valid_in_every_version(
    served: Callable[..., TargetContext], minor: int, params: dict[str, Any]
) -> None:
    pytest.importorskip("kubernetes_validate")
    made = served()
    kubernetes(made, **params, kubernetes_version=f"1.{minor}")
    found = check(objects_in(read_folder(made.out)), version=f"1.{minor}", image=made.image.reference)
    assert [str(finding) for finding in found] == []


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "'proxy_image' is missing: the server of the runtime 'served' has neither password nor TLS"),
        ({**PROXY, "threads": 3}, "'threads': 3 is not allowed: it has no effect"),
        ({**PROXY, "workers": "auto"}, "'workers': 'auto' is not allowed: it has no effect"),
        ({**PROXY, "proxy_memory": "64 MB"}, "'proxy_memory': '64 MB' is not allowed: it is not a quantity"),
    ],
)
def test_what_is_missing_or_means_nothing_is_said(
    accept: Callable[..., None], params: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "kubernetes", {"reads_settings": False}, **params)
    assert said in str(caught.value)
