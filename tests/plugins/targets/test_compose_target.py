from __future__ import annotations

import functools
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.standins import tensorflow_model_server as stand_in
from tests.targets import compose

from modelyard.artifacts import ServerFacts
from modelyard.errors import ConfigError
from modelyard.serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelyard.contexts import TargetContext

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@functools.cache
def compose_program() -> list[str] | None:
    """The Compose that is installed: Docker's plugin, or the older program."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0
        ):
            return words
    return None


def read(context: TargetContext) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((context.out / "compose.yaml").read_text())
    return found


def test_the_container_is_as_strict_as_the_pod(context: Callable[..., TargetContext]) -> None:
    made = context()
    compose(made)
    server = read(made)["services"]["server"]
    assert server["image"] == made.image.reference
    assert server["user"] == "65532:65532"
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert server["ports"] == ["127.0.0.1:8080:8080"]
    assert "privileged" not in server


def test_the_project_has_a_name_of_its_own(context: Callable[..., TargetContext]) -> None:
    made = context()
    compose(made)
    assert (made.out / ".env").read_text() == "COMPOSE_PROJECT_NAME=digits\n"


def test_secrets_are_files_and_the_settings_name_them(context: Callable[..., TargetContext]) -> None:
    made = context()
    compose(made)
    found = read(made)
    assert found["secrets"]["password"] == {"file": "../../../secrets/password"}
    targets = {f"/run/secrets/{one['target']}" for one in found["services"]["server"]["secrets"]}
    environment = found["services"]["server"]["environment"]
    assert {value for key, value in environment.items() if key.endswith("_FILE")} == targets


def test_without_tls_and_password_there_are_no_secrets(context: Callable[..., TargetContext]) -> None:
    made = context()
    compose(made, auth=False, tls=False)
    found = read(made)
    assert "secrets" not in found
    assert "http://127.0.0.1" in found["services"]["server"]["healthcheck"]["test"][-1]


def test_the_health_check_is_python_that_compiles(context: Callable[..., TargetContext]) -> None:
    for tls in (True, False):
        made = context()
        compose(made, tls=tls)
        how, program, option, code = read(made)["services"]["server"]["healthcheck"]["test"]
        assert (how, program, option) == ("CMD", "python3", "-c")
        compile(code, "healthcheck", "exec")


def test_the_server_reads_the_settings_that_it_is_given(context: Callable[..., TargetContext], tmp_path: Path) -> None:
    made = context()
    compose(made, cpus=1.5)
    environment = read(made)["services"]["server"]["environment"]
    for key in [key for key in environment if key.endswith("_FILE")]:
        (tmp_path / key).write_text("secret")
        environment[key] = str(tmp_path / key)
    found = Settings.read(environment)
    assert (found.model_name, found.port, found.threads, found.password) == ("digits", 8080, 2, "secret")


@pytest.mark.parametrize(("workers", "read_as"), [(2, (2, 1)), ("auto", (0, 1))])
def test_the_workers_share_the_processors(
    context: Callable[..., TargetContext], workers: int | str, read_as: object
) -> None:
    made = context()
    compose(made, cpus=2, workers=workers, auth=False, tls=False)
    service = read(made)["services"]["server"]
    found = Settings.read(service["environment"])
    assert (found.workers, found.threads) == read_as
    assert service["deploy"]["resources"]["limits"]["memory"] == "384m"


def test_an_image_that_was_loaded_from_the_archive_is_found_by_its_tag(context: Callable[..., TargetContext]) -> None:
    made = context()
    compose(made, source="engine")
    server = read(made)["services"]["server"]
    assert (server["image"], server["pull_policy"]) == ("registry.example/team/digits:0.1.0", "never")


@pytest.mark.parametrize(("measured_mib", "memory"), [(0, "256m"), (384, "512m")])
def test_the_container_is_given_the_memory_that_was_measured_and_the_usual_at_least(
    context: Callable[..., TargetContext], measured_mib: int, memory: str
) -> None:
    made = msgspec.structs.replace(context(), server_memory_bytes=measured_mib * 2**20)
    compose(made)
    assert read(made)["services"]["server"]["deploy"]["resources"]["limits"]["memory"] == memory


def test_memory_below_what_was_measured_is_refused(context: Callable[..., TargetContext]) -> None:
    made = msgspec.structs.replace(context(), server_memory_bytes=384 * 2**20)
    with pytest.raises(ConfigError, match="memory = '256m': 256Mi is too little for a worker of 384Mi"):
        compose(made, memory="256m")


def test_the_same_input_gives_the_same_bytes(context: Callable[..., TargetContext]) -> None:
    one, other = context(), context()
    compose(one)
    compose(other)
    assert (one.out / "compose.yaml").read_bytes() == (other.out / "compose.yaml").read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.dictionaries(TEXT, TEXT, max_size=4), folder=TEXT.filter(str.strip))
def test_what_a_user_writes_is_read_back_with_the_dollar_doubled(
    context: Callable[..., TargetContext], labels: dict[str, str], folder: str
) -> None:
    made = context()
    compose(made, labels=labels, secrets_folder=folder)
    found = read(made)
    assert found["services"]["server"].get("labels", {}) == {k: v.replace("$", "$$") for k, v in labels.items()}
    assert found["secrets"]["username"]["file"] == f"{folder.rstrip('/')}/username".replace("$", "$$")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"memory": "256Mi"},
            "'memory': '256Mi' is not allowed: it is not a size as Compose reads it\n  allowed: '256m'",
        ),
        ({"memory": "100m"}, "'memory': '100m' is not allowed: 100Mi is too little for a worker of 56Mi"),
        ({"bind": "localhost"}, "'bind': 'localhost' is not allowed: it is not an address\n  allowed: '127.0.0.1'"),
        ({"port": 80}, "'port': 80 is not allowed: no such port"),
        ({"secrets_folder": " "}, "'secrets_folder': ' ' is not allowed"),
        ({"around": {"reads_settings": False}, "threads": 2}, "'threads': 2 is not allowed: it has no effect"),
        ({"around": {"reads_settings": False}, "workers": 2}, "'workers': 2 is not allowed: it has no effect"),
        ({"memory": "256m", "workers": 3}, "'memory': '256m' is not allowed: 256Mi is too little for 3 workers"),
        ({"memory": "256m", "workers": "auto", "cpus": 3.5}, "256Mi is too little for 3 workers"),
    ],
)
def test_what_compose_does_not_allow_is_refused(accept: Callable[..., None], params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "compose", **params)
    assert said in str(caught.value)


@pytest.mark.skipif(compose_program() is None, reason="neither `docker compose` nor `docker-compose` is installed")
@pytest.mark.parametrize("params", [{}, {"auth": False, "tls": False, "source": "engine", "bind": "[::1]"}])
def test_compose_itself_accepts_the_file(context: Callable[..., TargetContext], params: dict[str, Any]) -> None:
    made = context()
    compose(made, **params, labels={"a": "$HOME ${B} 'c' # d", "on": "1.0"})
    words = [*(compose_program() or []), "-f", str(made.out / "compose.yaml"), "config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels = yaml.safe_load(done.stdout)["services"]["server"]["labels"]
    assert {key: value.replace("$$", "$") for key, value in labels.items()} == {"a": "$HOME ${B} 'c' # d", "on": "1.0"}


PROXY = {"proxy_image": "nginxinc/nginx-unprivileged:1.29@sha256:" + "d" * 64}


def served(context: Callable[..., TargetContext]) -> TargetContext:
    """A context whose image is one of TensorFlow Serving."""
    facts = ServerFacts(ready="/v1/models/digits/versions/1/metadata", grpc_port=8500, reads_settings=False)
    return context(image=msgspec.structs.replace(context().image, port=8501, server=facts))


def test_before_a_server_without_a_password_stands_a_proxy(context: Callable[..., TargetContext]) -> None:
    made = served(context)
    compose(made, **PROXY, host_port=9443)
    found = read(made)
    server, proxy = found["services"]["server"], found["services"]["proxy"]
    assert "ports" not in server
    assert "environment" not in server
    assert server["networks"] == ["inside"]
    assert found["networks"] == {"inside": {"internal": True}}
    assert proxy["ports"] == ["127.0.0.1:9443:8443"]
    assert proxy["image"] == PROXY["proxy_image"]
    for one in (server, proxy):
        assert (one["user"], one["read_only"], one["cap_drop"]) == ("65532:65532", True, ["ALL"])
    assert {secret["target"] for secret in proxy["secrets"]} == {"htpasswd", "tls.crt", "tls.key"}
    assert "server server:8501;" in (made.out / "nginx.conf").read_text()


def test_the_health_check_of_a_server_without_python_asks_for_the_model(
    context: Callable[..., TargetContext],
) -> None:
    """The command itself, against the stand-in for TensorFlow Serving: ready for its version, not for another."""
    server = stand_in.server(0, "digits", "1", {}, "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        for version, code in (("1", 0), ("2", 1)):
            facts = ServerFacts(ready=f"/v1/models/digits/versions/{version}/metadata", reads_settings=False)
            image = msgspec.structs.replace(context().image, port=server.server_address[1], server=facts)
            made = context(image=image)
            compose(made, **PROXY)
            how, *command = read(made)["services"]["server"]["healthcheck"]["test"]
            words = [word.replace("$$", "$") for word in command]  # as Compose does
            assert (how, subprocess.run(words, check=False, timeout=10).returncode) == ("CMD", code)
    finally:
        server.shutdown()


@pytest.mark.skipif(compose_program() is None, reason="neither `docker compose` nor `docker-compose` is installed")
@pytest.mark.parametrize("params", [PROXY, {"auth": False, "tls": False}])
def test_compose_itself_accepts_the_file_with_a_proxy(
    context: Callable[..., TargetContext], params: dict[str, Any]
) -> None:
    made = served(context)
    compose(made, **params)
    words = [*(compose_program() or []), "-f", str(made.out / "compose.yaml"), "config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("proxy" in yaml.safe_load(done.stdout)["services"]) is bool(params.get("proxy_image"))


def test_a_server_that_speaks_grpc_has_a_port_more(context: Callable[..., TargetContext]) -> None:
    made = context(image=msgspec.structs.replace(context().image, server=ServerFacts(grpc_port=8081)))
    compose(made)
    assert read(made)["services"]["server"]["ports"] == ["127.0.0.1:8080:8080", "127.0.0.1:8081:8081"]


def test_a_broker_is_named_and_its_secrets_are_files(context: Callable[..., TargetContext]) -> None:
    server = ServerFacts(event_schemes={"nats": 4222, "tls": 4222})
    made = context(image=msgspec.structs.replace(context().image, server=server))
    compose(
        made, auth=False, tls=False, events_url="tls://b", events_auth=True, events_ca=True, events_certificate=True
    )
    found = read(made)
    environment = found["services"]["server"]["environment"]
    assert {name: value for name, value in environment.items() if "EVENTS" in name} == {
        "MODELYARD_EVENTS_URL": "tls://b",
        "MODELYARD_EVENTS_USERNAME_FILE": "/run/secrets/events-username",
        "MODELYARD_EVENTS_PASSWORD_FILE": "/run/secrets/events-password",
        "MODELYARD_EVENTS_CA_FILE": "/run/secrets/events-ca.crt",
        "MODELYARD_EVENTS_CERT_FILE": "/run/secrets/events-tls.crt",
        "MODELYARD_EVENTS_KEY_FILE": "/run/secrets/events-tls.key",
    }
    mounted = {f"/run/secrets/{one['target']}" for one in found["services"]["server"]["secrets"]}
    assert mounted == {value for name, value in environment.items() if name.endswith("_FILE")}


STARTED = {
    "nats": ({"nats": 4222, "tls": 4222}, 4222, 4222),
    "redis": ({"redis": 6379, "rediss": 6379}, 6379, 6379),
    "mqtt": ({"mqtt": 1883, "mqtts": 8883}, 1883, 1883),
    "amqp": ({"amqp": 5672, "amqps": 5671}, 5672, 5672),
    "kafka": ({"kafka": 9092, "kafkas": 9093}, 9092, 19092),
}
"""The ports of a broker for trying out: as the machine reaches it, and as the server does."""


@pytest.mark.parametrize("scheme", STARTED)
def test_a_broker_for_trying_out_is_started_beside_the_server(
    scheme: str, context: Callable[..., TargetContext]
) -> None:
    schemes, port, inside = STARTED[scheme]
    made = context(image=msgspec.structs.replace(context().image, server=ServerFacts(event_schemes=schemes)))
    compose(made, auth=False, tls=False, events_broker=f"{scheme}:tag")
    server, broker = (read(made)["services"][name] for name in ("server", "broker"))
    assert server["environment"]["MODELYARD_EVENTS_URL"] == f"{scheme}://broker:{inside}"
    assert (broker["image"], broker["ports"]) == (f"{scheme}:tag", [f"127.0.0.1:{port}:{port}"])
    assert (broker["user"], broker["read_only"], broker["cap_drop"]) == ("65532:65532", True, ["ALL"])
    if program := compose_program():
        words = [*program, "-f", str(made.out / "compose.yaml"), "config"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("params", "schemes", "said"),
    [
        ({}, {}, "'events_broker': 'b:1' is not allowed: the project's server takes no events"),
        ({}, {"odd": 5672}, "no broker is known that would be started for odd\n  start one yourself"),
        ({"events_url": "nats://b"}, {"nats": 4222}, "'events_url': 'nats://b' is not allowed: events_broker starts a"),
        ({"events_auth": True}, {"nats": 4222}, "'events_auth': True is not allowed: events_broker starts a broker"),
    ],
)
def test_a_broker_that_cannot_be_started_is_refused(
    params: dict[str, Any], schemes: dict[str, int], said: str, accept: Callable[..., None]
) -> None:
    with pytest.raises(ConfigError) as caught:
        accept("target", "compose", around={"event_schemes": schemes}, events_broker="b:1", **params)
    assert said in str(caught.value)
