"""The objects that the target renders, as a whole."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from tests.plugins.targets.kubernetes_objects import ALL, BARE, FULL, looked_at, objects, pod
from tests.renders import target_context
from tests.targets import kubernetes

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError
from modelyard.kubernetes.checking import check
from modelyard.kubernetes.manifests import objects_in, read_folder
from modelyard.kubernetes.rendered import Checked
from modelyard.testing.target import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelyard.contexts import TargetContext


def test_the_default_is_what_a_service_needs_in_the_order_of_need(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made)
    assert sorted(path.name for path in made.out.iterdir()) == [
        "10-serviceaccount.yaml",
        "20-configmap.yaml",
        "30-service.yaml",
        "40-deployment.yaml",
        "50-horizontalpodautoscaler.yaml",
        "60-poddisruptionbudget.yaml",
        "70-networkpolicy.yaml",
        "kustomization.yaml",
    ]
    assert looked_at(made) == Checked(7, 0)


def test_a_client_whose_sequences_the_model_keeps_reaches_one_pod(tmp_path: Path) -> None:
    plain = target_context(tmp_path, "plain")
    kept = target_context(tmp_path, "kept", model={**MODEL, "states": [{"tensor": "h"}]})
    for made, affinity in ((plain, None), (kept, "ClientIP")):
        kubernetes(made)
        assert objects(made)["Service"]["spec"].get("sessionAffinity") == affinity
        assert looked_at(made) == Checked(7, 0)


def test_namespace_and_ingress_are_rendered_on_request(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **ALL)
    found = objects(made)
    assert {"Namespace", "Ingress"} <= set(found)
    assert found["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert all(one["metadata"]["namespace"] == "digits" for kind, one in found.items() if kind != "Namespace")


def test_a_gateway_gets_a_route_and_trusts_the_pods(context: Callable[..., TargetContext]) -> None:
    made = context()
    outside = {"gateway": "infra/web", "gateway_listener": "https", "gateway_hosts": ("a.example", "*.b.example")}
    kubernetes(made, namespace="digits", **outside, gateway_ca="our-ca", tls_server_name="net.internal")
    found = objects(made)
    assert found["HTTPRoute"]["spec"] == {
        "parentRefs": [{"name": "web", "namespace": "infra", "sectionName": "https"}],
        "hostnames": ["a.example", "*.b.example"],
        "rules": [{"backendRefs": [{"name": "digits", "port": 443}]}],
    }
    assert found["BackendTLSPolicy"]["spec"] == {
        "targetRefs": [{"group": "", "kind": "Service", "name": "digits", "sectionName": "https"}],
        "validation": {
            "hostname": "net.internal",
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "our-ca"}],
        },
    }
    assert looked_at(made) == Checked(9, 0)


def test_models_share_a_host_and_two_of_them_the_requests(context: Callable[..., TargetContext]) -> None:
    made = context()
    weights = {"digits": 90, "digits-next": 10}
    kubernetes(made, gateway="web", gateway_models=True, gateway_weights=weights, gateway_ca="ca", model_name="Net")
    found = objects(made)
    assert found["HTTPRoute"]["spec"]["rules"] == [
        {
            "backendRefs": [
                {"name": "digits", "port": 443, "weight": 90},
                {"name": "digits-next", "port": 443, "weight": 10},
            ],
            "matches": [
                {"path": {"type": "PathPrefix", "value": "/v1/models/Net"}},
                {"path": {"type": "PathPrefix", "value": "/v2/models/Net"}},
                {"path": {"type": "Exact", "value": "/v1/models/Net:predict"}},
            ],
        }
    ]
    assert found["ConfigMap"]["data"]["MODELYARD_MODEL_NAME"] == "Net"
    assert looked_at(made) == Checked(9, 0), "a Service of another target is none of these objects"


SEVERAL = {"net/1": MODEL, "net/2": {**MODEL, "variant": "pruned", "looped": True}, "other/1": MODEL}


def test_an_image_of_several_models_is_found_by_the_name_of_each(tmp_path: Path) -> None:
    together = {"size_bytes": 400 * 2**20, "sha256": "0" * 64}
    made = target_context(tmp_path, name="shop", model=together, models=SEVERAL)
    kubernetes(made, gateway="web", gateway_models=True, gateway_ca="ca")
    found = objects(made)
    paths = [one["path"]["value"] for one in found["HTTPRoute"]["spec"]["rules"][0]["matches"]]
    assert paths[:3] == ["/v1/models/net", "/v2/models/net", "/v1/models/net:predict"]
    assert paths[3:] == ["/v1/models/other", "/v2/models/other", "/v1/models/other:predict"]
    annotations = found["Deployment"]["metadata"]["annotations"]
    said = annotations["modelyard.dev/models"].split(", ")
    assert said[1] == f"net/2 pruned {MODEL['sha256']}"
    assert not [key for key in annotations if key.startswith("modelyard.dev/model-")]
    assert found["Service"]["spec"]["sessionAffinity"] == "ClientIP", "one of them keeps a state"
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "2048Mi", "what all of them take together"
    assert looked_at(made) == Checked(9, 0)


@pytest.mark.parametrize("target", ["kubernetes", "knative"])
def test_what_is_about_one_model_means_nothing_to_several(accept: Callable[..., None], target: str) -> None:
    with pytest.raises(ConfigError, match="the image serves 2 models, each by its own name"):
        accept("target", target, {"models": ("net/1", "other/1")}, model_name="net")


def test_a_gateway_that_would_not_speak_tls_to_the_pods_is_a_warning(context: Callable[..., TargetContext]) -> None:
    said: list[str] = []
    made, plain = msgspec.structs.replace(context(), log=said.append), context()
    kubernetes(made, gateway="web")
    assert looked_at(made) == Checked(8, 1)
    assert "HTTPRoute/digits: port 443 of Service 'digits' speaks TLS, and no BackendTLSPolicy says so" in said[0]
    kubernetes(plain, gateway="web", tls=False)
    assert objects(plain)["HTTPRoute"]["spec"] == {
        "parentRefs": [{"name": "web"}],
        "rules": [{"backendRefs": [{"name": "digits", "port": 80}]}],
    }
    assert looked_at(plain) == Checked(8, 0)


def test_what_the_user_chose_to_leave_out_is_a_warning(context: Callable[..., TargetContext]) -> None:
    said: list[str] = []
    made = msgspec.structs.replace(context(), log=said.append)
    kubernetes(made, **BARE)
    assert looked_at(made).warnings == len(said)
    assert {line.partition("[")[2].partition("]")[0] for line in said} == {"cpu-limit", "network-policy"}


def test_a_new_model_changes_one_object(context: Callable[..., TargetContext]) -> None:
    old, new = context(), context()
    kubernetes(old)
    kubernetes(msgspec.structs.replace(new, model={**new.model, "accuracy": 0.5, "sha256": "d" * 64}))
    before, after = (objects(one) for one in (old, new))
    assert [kind for kind in before if before[kind] != after[kind]] == ["Deployment"]


def test_two_environments_share_a_namespace(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    kubernetes(one, namespace="models")
    kubernetes(other, namespace="models", name="digits-staging")
    names = [{(kind, thing["metadata"]["name"]) for kind, thing in objects(made).items()} for made in (one, other)]
    assert not names[0] & names[1]
    selectors = [objects(made)["Deployment"]["spec"]["selector"]["matchLabels"] for made in (one, other)]
    assert {selector["app.kubernetes.io/name"] for selector in selectors} == {"digits"}
    assert [selector["app.kubernetes.io/instance"] for selector in selectors] == ["digits", "digits-staging"]
    assert objects(other)["ConfigMap"]["data"]["MODELYARD_MODEL_NAME"] == "digits"
    assert {volume["secret"]["secretName"] for volume in pod(other)["volumes"] if "secret" in volume} == {
        "digits-staging-auth",
        "digits-staging-tls",
    }


def test_prometheus_is_told_how_to_read_the_metrics_and_let_in(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **FULL)
    monitor, policy = objects(made)["ServiceMonitor"], objects(made)["NetworkPolicy"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["basicAuth"] == {
        "username": {"name": "digits-staging-auth", "key": "username"},
        "password": {"name": "digits-staging-auth", "key": "password"},
    }
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", "digits-staging.digits.svc")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == [
        "web",
        "monitoring",
    ]


def test_nginx_is_told_to_speak_tls_to_the_server(context: Callable[..., TargetContext]) -> None:
    key = "nginx.ingress.kubernetes.io/backend-protocol"
    one, other = context(), context()
    kubernetes(one, **ALL, ingress_class="nginx")
    kubernetes(other, **ALL, ingress_class="nginx", ingress_annotations={key: "GRPCS"})
    assert objects(one)["Ingress"]["metadata"]["annotations"][key] == "HTTPS"
    assert objects(other)["Ingress"]["metadata"]["annotations"][key] == "GRPCS"


def test_the_same_input_gives_the_same_bytes(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    for made in (one, other):
        kubernetes(made, **FULL, labels={"team": "a"}, annotations={"x": "y"})
    assert {p.name: p.read_bytes() for p in one.out.iterdir()} == {p.name: p.read_bytes() for p in other.out.iterdir()}


MINORS = range(29, 38)
SIZES: dict[str, dict[str, Any]] = {"default": {}, "all": ALL, "full": FULL, "bare": BARE}


def in_versions() -> Iterator[Any]:
    """Give what is rendered with the version of Kubernetes: all that there is in each, less in the first and the last."""
    for minor in MINORS:
        for size, params in SIZES.items():
            usual = size == "full" or minor in (MINORS[0], MINORS[-1])
            yield pytest.param(minor, params, id=f"{size}-{minor}", marks=[] if usual else [pytest.mark.thorough])


@pytest.mark.parametrize(("minor", "params"), in_versions())
def test_the_objects_are_valid_in_every_version(
    context: Callable[..., TargetContext], minor: int, params: dict[str, Any]
) -> None:
    pytest.importorskip("kubernetes_validate")
    made = context()
    kubernetes(made, **params, kubernetes_version=f"1.{minor}")
    found = check(objects_in(read_folder(made.out)), version=f"1.{minor}")
    assert [finding for finding in found if finding.severity == "error"] == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_kustomize_reads_every_object_as_it_was_written(context: Callable[..., TargetContext]) -> None:
    made = context()
    kubernetes(made, **ALL, annotations={"a": "on", "b": "1.0", "c": "\u2028'{{x}}'"})
    done = subprocess.run(["kubectl", "kustomize", str(made.out)], capture_output=True, text=True, check=True)
    assert {one["kind"]: one for one in yaml.safe_load_all(done.stdout)} == objects(made)


@pytest.mark.parametrize(("tls", "protocol"), [(True, "https"), (False, "kubernetes.io/h2c")])
def test_a_server_that_speaks_grpc_has_a_port_more(
    context: Callable[..., TargetContext], tls: bool, protocol: str
) -> None:
    image = msgspec.structs.replace(context().image, server=ServerFacts(grpc_port=8081))
    made, without = context(image=image), context()
    kubernetes(made, tls=tls)
    kubernetes(without, tls=tls)

    assert check(objects_in(read_folder(made.out)), image=made.image.reference) == []
    found, usual = objects(made), objects(without)
    scheme = "https" if tls else "http"
    assert pod(made)["containers"][0]["ports"] == [
        {"name": scheme, "containerPort": 8080, "protocol": "TCP"},
        {"name": "grpc", "containerPort": 8081, "protocol": "TCP"},
    ]
    opened = [(one["name"], one["port"], one["appProtocol"]) for one in found["Service"]["spec"]["ports"]]
    assert opened == [(scheme, 443 if tls else 80, scheme), ("grpc", 8081, protocol)]
    assert [one["port"] for one in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]] == [scheme, "grpc"]
    assert [one["name"] for one in usual["Service"]["spec"]["ports"]] == [scheme]
    probes = [pod(made)["containers"][0][f"{one}Probe"]["httpGet"]["port"] for one in ("liveness", "readiness")]
    assert probes == [scheme, scheme]


def test_a_broker_is_let_through_and_its_secrets_are_files(context: Callable[..., TargetContext]) -> None:
    server = ServerFacts(event_schemes={"nats": 4222, "tls": 4222})
    made = context(image=msgspec.structs.replace(context().image, server=server))
    secrets = {"events_secret": "nats-login", "events_ca_secret": "nats-ca", "events_tls_secret": "nats-tls"}
    kubernetes(made, events_url="tls://nats.messaging", **secrets)
    found = objects(made)

    assert check(objects_in(read_folder(made.out)), image=made.image.reference) == []
    settings = {name: value for name, value in found["ConfigMap"]["data"].items() if "EVENTS" in name}
    assert settings == {
        "MODELYARD_EVENTS_URL": "tls://nats.messaging",
        "MODELYARD_EVENTS_USERNAME_FILE": "/etc/modelyard/events-auth/username",
        "MODELYARD_EVENTS_PASSWORD_FILE": "/etc/modelyard/events-auth/password",
        "MODELYARD_EVENTS_CA_FILE": "/etc/modelyard/events-ca/ca.crt",
        "MODELYARD_EVENTS_CERT_FILE": "/etc/modelyard/events-tls/tls.crt",
        "MODELYARD_EVENTS_KEY_FILE": "/etc/modelyard/events-tls/tls.key",
    }
    folders = {one["mountPath"] for one in pod(made)["containers"][0]["volumeMounts"]}
    assert {value.rpartition("/")[0] for value in settings.values() if value.startswith("/")} <= folders
    named = {one["secret"]["secretName"] for one in pod(made)["volumes"] if "secret" in one}
    assert set(secrets.values()) <= named
    (out,) = found["NetworkPolicy"]["spec"]["egress"]
    assert [(one["protocol"], one["port"]) for one in out["ports"]] == [("UDP", 53), ("TCP", 53), ("TCP", 4222)]


def test_without_a_broker_nothing_is_let_out(context: Callable[..., TargetContext]) -> None:
    made = context(image=msgspec.structs.replace(context().image, server=ServerFacts(event_schemes={"nats": 4222})))
    kubernetes(made)
    assert "egress" not in objects(made)["NetworkPolicy"]["spec"]
    assert not [name for name in objects(made)["ConfigMap"]["data"] if "EVENTS" in name]
