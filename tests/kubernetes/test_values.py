from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.renders import IMAGE, target_context

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError
from modelyard.kubernetes.exposure import Proxy
from modelyard.kubernetes.secret_files import MountedSecret
from modelyard.kubernetes.syntax import dns_label
from modelyard.kubernetes.target_params import KubernetesParams
from modelyard.kubernetes.values import names_of, template_values
from modelyard.testing.target import MODEL

Values = Callable[..., dict[str, Any]]
PROXY = Proxy("nginx:1@sha256:0", ("nginx",), 8443, "/etc/nginx", {"nginx.conf": "events {}"}, "/live")
SERVER = ServerFacts(event_schemes={"redis": 6379}, event_places={"input": "digits.in", "group": "digits"})
TAKING_EVENTS = {"server": SERVER}


@pytest.fixture
def values(tmp_path: Path) -> Values:
    """Return a function that gives the values of parameters, for an image whose facts may differ."""
    numbers = iter(range(100))

    def make(image: dict[str, Any] | None = None, *, proxy: Proxy | None = None, **params: Any) -> dict[str, Any]:
        facts = msgspec.structs.replace(IMAGE, **(image or {}))
        context = target_context(tmp_path, str(next(numbers)), image=facts)
        return template_values(context, KubernetesParams(**params), proxy)

    return make


def test_the_names_are_those_of_the_project_or_what_one_says(values: Values) -> None:
    found = values()
    assert (found["name"], found["settings"]["MODELYARD_MODEL_NAME"]) == ("digits", "digits")
    assert found["selector"] == {"app.kubernetes.io/name": "digits", "app.kubernetes.io/instance": "digits"}
    other = values(name="next", model_name="Digits.v2", namespace="models")
    assert (other["name"], other["settings"]["MODELYARD_MODEL_NAME"]) == ("next", "Digits.v2")
    assert other["selector"] == {"app.kubernetes.io/name": "digits", "app.kubernetes.io/instance": "next"}
    assert (found["tls_server_name"], other["tls_server_name"]) == ("digits", "next.models.svc")
    assert values(tls_server_name="a.example")["tls_server_name"] == "a.example"


def test_labels_of_our_own_come_after_those_of_the_person(values: Values) -> None:
    found = values(labels={"team": "vision", "app.kubernetes.io/version": "mine"})["labels"]
    assert found["team"] == "vision"
    assert found["app.kubernetes.io/version"] == "0.1.0"
    assert found["app.kubernetes.io/managed-by"] == "modelyard"


@pytest.mark.parametrize("user", ["root", "0:0", "65532", "app:app", "", "65532:0", "0:65532", "1:2:3", "-1:1"])
def test_an_image_without_a_numeric_user_is_refused(values: Values, user: str) -> None:
    with pytest.raises(ConfigError) as caught:
        values({"user": user})
    assert str(caught.value) == (
        f"the image runs as {user!r}; a cluster needs numbers above 0: 'UID:GID'\n"
        "  let the image builder 'sample' set a numeric user, or use another"
    )


def test_an_image_is_named_by_its_digest_or_said_to_be_known_by_its_tag(values: Values) -> None:
    found = values()
    assert found["image_name"] == IMAGE.reference
    assert "modelyard.dev/skip" not in found["deployment_annotations"]
    found = values(image_reference="tag", annotations={"modelyard.dev/skip": "mine"})
    assert found["image_name"] == "registry.example/team/digits:0.1.0"
    told = found["deployment_annotations"]
    assert told["modelyard.dev/image-digest"] == IMAGE.digest
    assert told["modelyard.dev/skip"].startswith("mine; image-digest: the image is loaded")
    assert values({"platform": "linux/arm64"})["node_selector"] == {"kubernetes.io/arch": "arm64"}


def test_settings_are_text_and_their_files_are_those_of_the_secrets(values: Values) -> None:
    found = values(port=9000, threads=2)
    settings = found["settings"]
    assert all(isinstance(one, str) for one in settings.values())
    assert (settings["MODELYARD_PORT"], settings["MODELYARD_THREADS"]) == ("9000", "2")
    assert [(one.volume, one.name) for one in found["secrets"]] == [("auth", "digits-auth"), ("tls", "digits-tls")]
    files = {f"{one.path}/{key}" for one in found["secrets"] for key in one.keys}
    assert {value for name, value in settings.items() if name.endswith("_FILE")} == files
    bare = values(auth=False, tls=False)
    assert bare["secrets"] == []
    assert not [name for name in bare["settings"] if name.endswith("_FILE")]
    named = values(auth_secret="a", tls_secret="b")["secrets"]
    assert [one.name for one in named] == ["a", "b"]


def test_the_settings_have_a_name_of_their_own_content(values: Values) -> None:
    names = [values()["config_name"], values()["config_name"], values(port=9000)["config_name"]]
    assert names[0] == names[1] != names[2]
    assert all(one.startswith("digits-") for one in names)


def test_variables_of_secrets_are_files_and_each_secret_is_mounted_once(values: Values) -> None:
    given = {"A": "one/x", "B": "two/x", "C": "one/y", "D": "one/x"}
    found = values(env={"TZ": "UTC"}, env_from_secrets=given)
    assert found["secret_variables"] == [
        MountedSecret("env-1", "one", ("x", "y")),
        MountedSecret("env-2", "two", ("x",)),
    ]
    assert found["env"] == {
        "TZ": "UTC",
        "A_FILE": "/etc/modelyard/env-1/x",
        "B_FILE": "/etc/modelyard/env-2/x",
        "C_FILE": "/etc/modelyard/env-1/y",
        "D_FILE": "/etc/modelyard/env-1/x",
    }


def test_a_server_behind_a_proxy_has_its_files_and_waits_for_it(values: Values) -> None:
    other = {"server": ServerFacts(reads_settings=False)}
    found = values(other, proxy=PROXY, port=8443, drain_s=3, grace_s=4)
    assert found["settings"] == PROXY.files
    assert found["sleeps"] == {"server": 7, "proxy": 3}
    assert [one.keys for one in found["secrets"]] == [("htpasswd",), ("tls.crt", "tls.key")]
    assert "modelyard.dev/server-memory" not in found["deployment_annotations"]
    alone = values(other, tls=False, auth=False, drain_s=3, grace_s=4)
    assert (alone["settings"], alone["secrets"], alone["sleeps"]) == ({}, [], {"server": 3, "proxy": 3})
    assert values(drain_s=3, grace_s=4)["sleeps"] == {"server": 0, "proxy": 0}, "ours drains by itself"


def test_a_pod_has_time_to_start_and_to_stop(values: Values) -> None:
    found = values(startup_s=61, drain_s=3, grace_s=4)
    assert (found["startup_tries"], found["progress_deadline_s"], found["stop_s"]) == (31, 122, 12)
    assert values(startup_s=1)["progress_deadline_s"] == 120
    assert [values(kubernetes_version=one)["has_sleep"] for one in ("1.29", "1.30")] == [False, True]
    assert [values(replicas=2, max_replicas=one)["autoscaled"] for one in (2, 3)] == [False, True]


def test_resources_are_what_one_says_and_else_what_the_server_needs(values: Values) -> None:
    found = values()
    storage = {"ephemeral-storage": "64Mi"}
    assert found["requests"] == {"cpu": "250m", "memory": "256Mi", **storage}
    assert found["limits"] == {"cpu": "1", "memory": "256Mi", **storage}
    assert found["proxy_requests"] == found["proxy_limits"] == {"cpu": "100m", "memory": "64Mi", **storage}
    found = values(cpu_limit="", memory="1Gi", memory_limit="2Gi", gpus=2)
    assert found["requests"]["memory"] == "1Gi"
    assert found["limits"] == {"memory": "2Gi", **storage, "nvidia.com/gpu": "2"}
    assert "cpu" not in found["proxy_limits"]
    assert found["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert values(memory_limit="2Gi")["requests"]["memory"] == "2Gi", "a request above nothing would be the cluster's"
    large = values(max_body_bytes=200 << 20)["requests"]["memory"]
    assert int(large.removesuffix("Mi")) > 256


def test_each_worker_has_its_memory(values: Values) -> None:
    one, four = (values(workers=number) for number in (1, 4))
    sizes = [int(found["requests"]["memory"].removesuffix("Mi")) for found in (one, four)]
    assert sizes[1] > sizes[0]
    assert "MODELYARD_WORKERS" not in one["settings"]
    assert four["settings"]["MODELYARD_WORKERS"] == "4"


def test_what_is_served_is_told_of_the_pods(values: Values, tmp_path: Path) -> None:
    told = values()["deployment_annotations"]
    assert told["modelyard.dev/model-variant"] == "small"
    assert told["modelyard.dev/model-accuracy"] == "0.98"
    assert told["modelyard.dev/model-sha256"] == "c" * 64
    several = {"net/1": MODEL, "net/2": {**MODEL, "looped": {}}, "other/1": MODEL}
    context = target_context(tmp_path, "several", models=several)
    assert names_of(context) == ["net", "other"]
    found = template_values(context, KubernetesParams(gateway="web", gateway_models=True))
    each = f"small {'c' * 64}"
    assert found["deployment_annotations"]["modelyard.dev/models"] == f"net/1 {each}, net/2 {each}, other/1 {each}"
    assert "modelyard.dev/model-variant" not in found["deployment_annotations"]
    assert found["keeps_states"]
    assert {one["path"]["value"].split("/")[3].partition(":")[0] for one in found["gateway_matches"]} == {
        "net",
        "other",
    }
    assert not values()["keeps_states"]


def test_who_may_ask_is_named_or_is_anybody(values: Values) -> None:
    assert values()["allowed_namespaces"] == []
    found = values(allow_namespaces=("a",), allow_scrapers=("monitoring",))
    assert found["allowed_namespaces"] == ["a", "monitoring"]


def test_a_gateway_is_named_with_its_namespace_and_gets_the_port_of_the_service(values: Values) -> None:
    found = values(gateway="infra/web")
    assert (found["gateway_namespace"], found["gateway_name"]) == ("infra", "web")
    assert found["gateway_backends"] == [{"name": "digits", "port": 443}]
    found = values(gateway="web", tls=False, service_port=8080)
    assert (found["gateway_namespace"], found["gateway_name"]) == ("", "web")
    assert found["gateway_backends"] == [{"name": "digits", "port": 8080}]


def test_nginx_alone_is_told_that_the_server_speaks_tls(values: Values) -> None:
    key = "nginx.ingress.kubernetes.io/backend-protocol"
    assert values(ingress_class="nginx")["ingress_annotations"] == {key: "HTTPS"}
    assert values(ingress_class="nginx", tls=False)["ingress_annotations"] == {}
    assert values(ingress_class="traefik")["ingress_annotations"] == {}
    own = values(ingress_class="nginx", annotations={"a": "1"}, ingress_annotations={key: "GRPCS", "a": "2"})
    assert own["ingress_annotations"] == {key: "GRPCS", "a": "2"}
    assert values()["ingress_tls_secret"] == "digits-ingress-tls"


def test_the_namespace_refuses_what_is_less_strict_as_of_its_version(values: Values) -> None:
    labels = values(kubernetes_version="1.30")["namespace_labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["pod-security.kubernetes.io/enforce-version"] == "v1.30"


# Events


def test_a_broker_is_told_to_the_pods_with_its_secrets(values: Values) -> None:
    found = values(
        TAKING_EVENTS, events_url="redis://b", events_secret="u", events_ca_secret="ca", events_tls_secret="t"
    )
    told = {name: value for name, value in found["settings"].items() if "EVENTS" in name}
    assert told == {
        "MODELYARD_EVENTS_URL": "redis://b",
        "MODELYARD_EVENTS_USERNAME_FILE": "/etc/modelyard/events-auth/username",
        "MODELYARD_EVENTS_PASSWORD_FILE": "/etc/modelyard/events-auth/password",
        "MODELYARD_EVENTS_CA_FILE": "/etc/modelyard/events-ca/ca.crt",
        "MODELYARD_EVENTS_CERT_FILE": "/etc/modelyard/events-tls/tls.crt",
        "MODELYARD_EVENTS_KEY_FILE": "/etc/modelyard/events-tls/tls.key",
    }
    files = {f"{one.path}/{key}" for one in found["secrets"] for key in one.keys}
    assert {value for name, value in told.items() if name.endswith("_FILE")} <= files
    assert found["broker_port"] == 6379
    assert values(TAKING_EVENTS, events_url="redis://b:7000")["broker_port"] == 7000
    assert values(TAKING_EVENTS)["broker_port"] == 0


def test_pods_are_counted_by_what_is_asked_for_and_the_cpu(values: Values) -> None:
    cron = {"type": "cron", "metadata": {"start": "x"}}
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
    assert (values()["triggers"], values()["job_triggers"], values()["trigger_secrets"]) == ([], [], {})
    assert values(scale_on=(cron,))["triggers"] == [cron, cpu]
    found = values(scale_on=(cron,), scale_secrets={"password": "s/k"})
    assert found["triggers"][0] == {"authenticationRef": {"name": "digits"}, **cron}
    assert found["trigger_secrets"]["password"] == ("s", "/", "k")


def test_jobs_take_the_events_in_place_of_the_pods_and_show_nobody_a_password(values: Values) -> None:
    jobs = {"events_url": "redis://b", "events_secret": "u", "events_per_replica": 8, "events_jobs": 5, "grace_s": 4}
    found = values(TAKING_EVENTS, **jobs, env={"TZ": "UTC"})
    assert not [name for name in found["settings"] if "EVENTS" in name]
    assert (found["triggers"], found["broker_port"], found["job_broker_port"]) == ([], 0, 6379)
    assert [one["type"] for one in found["job_triggers"]] == ["redis-streams"] * 2
    env = found["job_env"]
    assert (env["MODELYARD_EVENTS_URL"], env["MODELYARD_HOST"], env["TZ"]) == ("redis://b", "127.0.0.1", "UTC")
    assert not {"MODELYARD_USERNAME_FILE", "MODELYARD_PASSWORD_FILE", "MODELYARD_TLS_KEY_FILE"} & env.keys()
    assert [one.volume for one in found["job_secrets"]] == ["events-auth"]
    assert [one.volume for one in found["secrets"]] == ["auth", "tls"]
    assert found["job_stop_s"] == 9
    assert not found["selector"].items() <= found["job_selector"].items(), "no Service selects them"
    assert "job_name" not in values(TAKING_EVENTS, events_url="redis://b", events_per_replica=8)


def test_the_longest_name_leaves_room_for_that_of_the_job(values: Values) -> None:
    found = values(TAKING_EVENTS, name="d" * 52, events_url="redis://b", events_per_replica=8, events_jobs=5)
    assert dns_label(found["setup_name"]) == ""
    assert found["setup_name"].startswith(f"{'d' * 38}-events-setup-")
