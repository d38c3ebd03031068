"""From data set to a checked TensorFlow Serving image, on a base with a stand-in for its program (see tests/standins)."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from modelyard.artifacts import Dataset, Model
from modelyard.testing import SMALL_PYPROJECT, run_doit, write_small_project
from tests.standins.images import build_nginx, build_stand_in, table_of
from tests.standins.tls import certificate, free_port, needs_nginx

pytestmark = [pytest.mark.thorough, pytest.mark.docker, pytest.mark.network, pytest.mark.slow, pytest.mark.tensorflow]

STAND_IN = "modelyard-test-stand-in-for-tensorflow-serving:1"
IMAGE = "modelyard-test-served:1"
NGINX = "modelyard-test-nginx:1"
PYPROJECT = (
    SMALL_PYPROJECT.replace('float32 = ["float32"]', 'served = ["saved-model"]')
    + f"""
[tool.modelyard.runtime]
use = "tensorflow-serving"
model_version = 3

[tool.modelyard.image]
use = "docker"
repository = "{IMAGE.partition(":")[0]}"
tag = "1"
base = "{STAND_IN}"

[tool.modelyard.targets.kubernetes]
proxy_image = "registry.example/nginx:1@sha256:{"d" * 64}"

[tool.modelyard.targets.compose]
auth = false
tls = false
source = "engine"

[tool.modelyard.targets.guarded]
use = "compose"
source = "engine"
proxy_image = "registry.example/nginx:1@sha256:{"d" * 64}"
"""
)


@pytest.fixture(scope="module")
def client(docker_engine: None) -> Iterator[Any]:
    import docker

    made = docker.from_env()
    yield made
    made.close()


@pytest.fixture(scope="module")
def road(client: Any, debian_base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, built up to `check`; the stand-in answers what the selected model did."""
    project = write_small_project(tmp_path_factory.mktemp("served") / "project", {"pyproject.toml": PYPROJECT})
    selected = run_doit(project, "select")
    assert selected.returncode == 0, selected.stdout + selected.stderr
    build_stand_in(client, debian_base, STAND_IN, answers(project))
    done = run_doit(project)
    assert done.returncode == 0, done.stdout + done.stderr
    yield project
    subprocess.run(["docker", "rmi", "-f", IMAGE], capture_output=True)
    own = "label=org.opencontainers.image.title=small"  # those that lost their tag to a later one
    subprocess.run(["docker", "image", "prune", "-f", "--filter", own], capture_output=True)
    subprocess.run(["docker", "rmi", "-f", STAND_IN], capture_output=True)


def answers(project: Path) -> dict[str, list[float]]:
    dataset = Dataset.open(project / "artifacts/dataset/arrays")
    reference = np.load(project / "artifacts/select/small/reference/answers.npy")
    return table_of(np.asarray(dataset.x("test")), reference)


def test_the_check_asked_the_server_in_its_container(road: Path) -> None:
    record = json.loads((road / "artifacts/check/small/stage.json").read_text())
    assert record["metrics"]["ran_in"] == "container"
    told = json.loads((road / "artifacts/check/small/check.json").read_text())
    assert told["agrees"] == ["TensorFlow Serving REST"]
    assert (told["server_started"], told["asks_for_password"]) == (True, False)
    log = (road / ".modelyard/logs/check/small.log").read_text()
    assert '"uid": 65532, "read_only": true' in log
    assert "has no password and no TLS of its own" in log


def test_the_image_has_the_versioned_model_its_configuration_and_a_numeric_user(road: Path, client: Any) -> None:
    image = client.images.get(IMAGE)
    config = image.attrs["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"][0] == "/usr/bin/tensorflow_model_server"
    assert set(config["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    assert config["Labels"]["dev.modelyard.model.format"] == "saved_model"
    assert not any(variable.startswith("PYTHON") for variable in config["Env"])
    facts = json.loads((road / "artifacts/image/small/image.json").read_text())
    assert facts["server"]["ready"] == "/v1/models/small/versions/3/metadata"
    names = [layer["name"] for layer in facts["layers"]]
    assert names[-3:] == ["server", "model", "facts"]
    assert names[:-3] == [f"base-{number}" for number in range(len(names) - 3)]


def test_batching_needs_another_image_and_no_model_is_measured_again(road: Path) -> None:
    def touched(override: str) -> set[str]:
        done = run_doit(road, override, "plan", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return {one["stage"] for one in json.loads(done.stdout)["stages"] if one["state"] != "up-to-date"}

    served = {"image:small", "check:small", "render:kubernetes", "render:compose", "render:guarded"}
    assert touched("runtime.batching=true") == served
    assert touched("runtime.threads=2") == {"evaluate:served", "select:small", *served}


def test_the_rendered_objects_run_this_image_behind_the_proxy(road: Path) -> None:
    facts = json.loads((road / "artifacts/image/small/image.json").read_text())
    rendered = road / "artifacts/render/kubernetes"
    deployment = yaml.safe_load((rendered / "40-deployment.yaml").read_text())
    server, proxy = deployment["spec"]["template"]["spec"]["containers"]
    assert server["image"].endswith(f":1@{facts['digest']}")
    assert server["readinessProbe"]["httpGet"]["path"] == "/v1/models/small/versions/3/metadata"
    assert proxy["ports"][0]["containerPort"] == 8443
    assert "small-auth" in (rendered / "40-deployment.yaml").read_text()


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    """Return a function that brings up what Compose reads in a folder, and gives the command; it is stopped at the end."""
    program = next((w for w in (["docker", "compose"], ["docker-compose"]) if _works(w)), None)
    if program is None:
        pytest.skip("neither `docker compose` nor `docker-compose` is installed")
    served = (
        tmp_path / "artifacts" / "render" / "served"
    )  # as deep as a project's, whose `secrets` lie beside `artifacts`
    command = [*program, "-p", "modelyard-test-served", "-f", str(served / "compose.yaml")]

    def up(rendered: Path, **changes: tuple[str, str]) -> list[str]:
        shutil.copytree(rendered, served)
        file = served / "compose.yaml"
        text = file.read_text()
        for old, new in changes.values():
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)
        done = subprocess.run([*command, "up", "-d"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return command

    yield up
    subprocess.run([*command, "down"], capture_output=True)


def test_compose_starts_it_and_its_health_check_passes(road: Path, compose: Callable[..., list[str]]) -> None:
    port = free_port()
    rendered = road / "artifacts/render/compose"
    command = compose(rendered, port=("127.0.0.1:8080:8501", f"127.0.0.1:{port}:8501"))
    assert _status_soon(f"http://127.0.0.1:{port}/v1/models/small/versions/3/metadata") == 200
    name = subprocess.run([*command, "ps", "-q"], capture_output=True, text=True, check=True).stdout.strip()
    health = yaml.safe_load((rendered / "compose.yaml").read_text())["services"]["server"]["healthcheck"]["test"]
    words = [word.replace("$$", "$") for word in health[1:]]
    assert subprocess.run(["docker", "exec", name, *words], check=False).returncode == 0


@needs_nginx
def test_compose_puts_nginx_before_it_and_only_nginx_is_reached(
    road: Path, client: Any, debian_base: str, tmp_path: Path, compose: Callable[..., list[str]]
) -> None:
    build_nginx(client, debian_base, NGINX)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    certificate(secrets)
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True).stdout
    (secrets / "htpasswd").write_text(f"user:{hashed}")
    for file in secrets.iterdir():
        file.chmod(0o644)
    port = free_port()
    try:
        compose(
            road / "artifacts/render/guarded",
            port=("127.0.0.1:8080:8443", f"127.0.0.1:{port}:8443"),
            image=(f"registry.example/nginx:1@sha256:{'d' * 64}", NGINX),  # which has no digest before a push
        )
        trust = ssl.create_default_context(cafile=str(secrets / "tls.crt"))
        url = f"https://127.0.0.1:{port}/v1/models/small"
        assert _status_soon(url, trust, "wrong") == 401
        assert _status_soon(url, trust, "secret") == 200
        containers = client.containers.list(filters={"label": "com.docker.compose.project=modelyard-test-served"})
        published = [host for c in containers for host in c.ports.values() if host]
        assert [host[0]["HostPort"] for host in published] == [str(port)]
        (inside,) = (c for c in containers if c.labels["com.docker.compose.service"] == "server")
        assert list(inside.attrs["NetworkSettings"]["Networks"]) == ["modelyard-test-served_inside"]
        certificate(tmp_path)
        for name in ("tls.key", "tls.crt"):  # in place: a file that is mounted by itself stays the one that it was
            (secrets / name).write_bytes((tmp_path / name).read_bytes())
        assert _certificate_soon(port, (tmp_path / "tls.crt").read_text())
    finally:
        subprocess.run(["docker", "rmi", "-f", NGINX], capture_output=True)


def _certificate_soon(port: int, pem: str) -> bool:
    """Return whether new connections come to be encrypted with `pem`."""
    for _ in range(150):
        if ssl.get_server_certificate(("127.0.0.1", port)) == pem:
            return True
        time.sleep(0.2)
    return False


def _works(words: list[str]) -> bool:
    found = shutil.which(words[0])
    return bool(found) and subprocess.run([*words, "version"], capture_output=True).returncode == 0


def _status_soon(url: str, trust: ssl.SSLContext | None = None, password: str = "") -> int:
    """Return the status that `url` answers with, once something listens there; 0 if nothing ever does."""
    request = urllib.request.Request(url)
    if password:
        request.add_header("Authorization", f"Basic {base64.b64encode(f'user:{password}'.encode()).decode()}")
    for _ in range(150):
        try:
            with urllib.request.urlopen(request, timeout=2, context=trust) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            if exc.code != 503:  # nginx is there before the server
                return exc.code
        except OSError:
            pass
        time.sleep(0.2)
    return 0


def test_serving_here_is_refused_in_words(road: Path) -> None:
    done = run_doit(road, "serve")
    assert done.returncode != 0
    assert "the server of the runtime 'tensorflow-serving' is in its image, not here" in done.stdout + done.stderr


def test_the_model_in_the_image_answers_as_the_evaluated_one(road: Path, client: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    container = client.containers.create(IMAGE)
    try:
        stream, _ = container.get_archive("/models/small")
        data = b"".join(stream)
    finally:
        container.remove()
    subprocess.run(["tar", "-x", "-C", tmp_path], input=data, check=True)
    version = tmp_path / "small" / "3"
    assert json.loads((version / "assets.extra" / "model.json").read_text())["outputs"][0]["inside"] is True
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    dataset = Dataset.open(road / "artifacts/dataset/arrays")
    reference = np.load(road / "artifacts/select/small/reference/answers.npy")
    found = serve(input=tf.constant(np.asarray(dataset.x("test"))))["probabilities"]
    np.testing.assert_allclose(found, reference, atol=1e-6)
    assert Model.open(road / "artifacts/select/small/model").facts.output == "probabilities"


def test_the_container_runs_hardened_and_answers_errors_as_the_real_one_words_them(road: Path, client: Any) -> None:
    options = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "network_mode": "none"}
    container = client.containers.run(IMAGE, detach=True, **options)
    try:
        code = (
            "import time, urllib.request as u, urllib.error as e\n"
            "def ask(path):\n"
            "    try: return u.urlopen('http://127.0.0.1:8501' + path).status\n"
            "    except e.HTTPError as x: return x.code\n"
            "for _ in range(50):\n"
            "    try: ask('/v1/models/small'); break\n"
            "    except OSError: time.sleep(.1)\n"
            "paths = ('/v1/models/small/versions/3/metadata', '/v1/models/small/versions/4/metadata', '/v1/x')\n"
            "print([ask(p) for p in paths])"
        )
        done = container.exec_run(["python3", "-c", code])
        assert done.output.decode().strip() == "[200, 404, 400]"
        assert '"uid": 65532, "read_only": true' in container.logs().decode()
    finally:
        container.remove(force=True)


def test_another_build_does_nothing_and_a_server_that_answers_otherwise_stops_it(
    road: Path, client: Any, debian_base: str
) -> None:
    again = run_doit(road)
    assert again.stdout.splitlines()[-1].startswith("built 0, restored 0"), again.stdout
    wrong = {key: row[::-1] for key, row in answers(road).items()}
    build_stand_in(client, debian_base, f"{STAND_IN}-wrong", wrong)
    try:
        done = run_doit(road, f"image.base={STAND_IN}-wrong", "image.tag=wrong")
        assert done.returncode != 0
        assert "the image does not answer as the evaluated model does" in done.stdout + done.stderr
    finally:
        subprocess.run(["docker", "rmi", "-f", f"{STAND_IN}-wrong", f"{IMAGE[:-1]}wrong"], capture_output=True)


def test_without_an_engine_the_check_says_so_and_can_be_told_to_go_on(road: Path, client: Any, tmp_path: Path) -> None:
    archive = tmp_path / "base.tar"
    with archive.open("wb") as file:
        for chunk in client.images.get(STAND_IN).save(named=True):
            file.write(chunk)
    no_engine = {"DOCKER_HOST": "unix:///nonexistent.sock"}
    settings = PYPROJECT.replace('use = "docker"', 'use = "oci"').replace(
        f'base = "{STAND_IN}"', f'base_image = "{archive}"'
    )
    (road / "pyproject.toml").write_text(settings)
    try:
        done = run_doit(road, env=no_engine)
        assert done.returncode != 0
        assert "runs in a container only, and no Docker engine answers" in done.stdout + done.stderr
        done = run_doit(road, "check.start=false", env=no_engine)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ran_in no server: start = false" in done.stdout
        told = json.loads((road / "artifacts/check/small/check.json").read_text())
        assert (told["server_started"], told["agrees"]) == (False, ["the model, without its server"])
        started = run_doit(road)  # and with an engine: the archive is loaded and its server asked
        assert started.returncode == 0, started.stdout + started.stderr
        assert "ran_in container" in started.stdout
    finally:
        (road / "pyproject.toml").write_text(PYPROJECT)
