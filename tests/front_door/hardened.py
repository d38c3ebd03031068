"""An image's server in a container with everything taken from it, over TLS with a password, and what it must answer."""

from __future__ import annotations

import base64
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard.artifacts import Dataset

LOGIN = "ann:s3cret"


def ask(url: str, cert: Path, body: object = None, login: str = LOGIN) -> Any:
    """Send a request over TLS with a password and return the JSON answer."""
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=str(cert))) as answer:
        return json.load(answer)


def until_ready(url: str, cert: Path, ended: Callable[[], str | None]) -> None:
    """Wait until the server at `url` is ready; `ended` returns what it printed once it is no more."""
    end = time.monotonic() + 90
    context = ssl.create_default_context(cafile=str(cert))
    while time.monotonic() < end:
        output = ended()
        assert output is None, f"the server ended: {output}"
        try:
            with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=2, context=context):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("the server is not ready")


def answers_as_evaluated(project: Path, url: str, cert: Path) -> None:
    """Check that both protocols answer the evaluation's probabilities, and that the server asks for the password."""
    (dataset,) = (project / "artifacts/dataset").iterdir()
    (select,) = (project / "artifacts/select").iterdir()
    samples = np.asarray(Dataset.open(dataset).x("test")[:16])
    expected = np.load(select / "reference/answers.npy")[:16]
    model = f"{url}/v1/models/{select.name}"
    answer = ask(f"{model}:predict", cert, {"instances": samples.tolist()})
    np.testing.assert_allclose(np.array(answer["predictions"]), expected, atol=1e-5)
    tensor = {"name": "input", "shape": list(samples.shape), "datatype": "UINT8", "data": samples.ravel().tolist()}
    output = ask(f"{url}/v2/models/{select.name}/infer", cert, {"inputs": [tensor]})["outputs"][0]
    np.testing.assert_allclose(np.array(output["data"]).reshape(output["shape"]), expected, atol=1e-5)
    for login in ("", "ann:wrong"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(model, cert, login=login)


@contextmanager
def loaded(archive: Path) -> Iterator[str]:
    """Load an image archive into the engine, for as long as the block lasts, and give its id."""
    import docker

    client = docker.from_env()
    with closing(client), archive.open("rb") as file:
        image = client.images.load(file)[0].id
        try:
            yield image
        finally:
            client.images.remove(image, force=True)


@contextmanager
def hardened(image: str, certificate: tuple[Path, Path]) -> Iterator[str]:
    """Run `image` as no root, on a read-only root, without any capability, on a port of one's own; give its URL.

    TLS and the password come from mounted files. At the end it must stop when asked to, with exit code 0.
    """
    import docker

    client = docker.from_env()
    container = client.containers.run(image, **_options(certificate[0].parent))
    try:
        container.reload()
        url = f"https://127.0.0.1:{container.ports['9443/tcp'][0]['HostPort']}"
        until_ready(url, certificate[0], lambda: _ended(container))
        yield url
        _has_no_privilege(container)
        container.stop(timeout=30)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0, container.logs()
        _logged_json(container)
    finally:
        container.remove(force=True)
        client.close()


@contextmanager
def limited(
    image: str, memory_bytes: int, environment: dict[str, str]
) -> Iterator[tuple[int, Callable[[], dict[str, Any]]]]:
    """Run `image` with so much memory and no swap; give its port on this machine, and what asks the engine how it is."""
    import docker

    client = docker.from_env()
    container = client.containers.run(
        image,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        tmpfs={"/tmp": "size=16m"},
        mem_limit=memory_bytes,
        memswap_limit=memory_bytes,
        environment=environment,
        ports={"8080/tcp": ("127.0.0.1", None)},
    )

    def state() -> dict[str, Any]:
        container.reload()
        told = container.attrs
        return {key: told["State"][key] for key in ("Running", "OOMKilled")} | {"RestartCount": told["RestartCount"]}

    try:
        container.reload()
        port = int(container.ports["8080/tcp"][0]["HostPort"])
        end = time.monotonic() + 60
        while True:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2):
                break
            assert time.monotonic() < end, container.logs()
            time.sleep(0.1)
        yield port, state
    finally:
        container.remove(force=True)
        client.close()


def _options(secrets: Path) -> dict[str, Any]:
    login = secrets / "login"
    login.mkdir(exist_ok=True)
    for name, value in zip(("username", "password"), LOGIN.split(":"), strict=True):
        (login / name).write_text(f"{value}\n")
    return {
        "name": f"modelyard-test-{os.getpid()}",
        "detach": True,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/tmp": "size=16m"},
        "volumes": {str(secrets): {"bind": "/secrets", "mode": "ro"}},
        "ports": {"9443/tcp": ("127.0.0.1", None)},
        "environment": {
            "MODELYARD_PORT": "9443",
            "MODELYARD_TLS_CERT_FILE": "/secrets/tls.crt",
            "MODELYARD_TLS_KEY_FILE": "/secrets/tls.key",
            "MODELYARD_USERNAME_FILE": "/secrets/login/username",
            "MODELYARD_PASSWORD_FILE": "/secrets/login/password",
            "MODELYARD_DRAIN_S": "0",
        },
    }


def _ended(container: Any) -> str | None:
    container.reload()
    return None if container.status == "running" else container.logs().decode()


def _has_no_privilege(container: Any) -> None:
    """Check what the kernel says of the server's process: its user, its capabilities, and that none can be gained."""
    told = _said_by(container, "print(open('/proc/1/status').read())")
    status = dict(line.split(":\t", 1) for line in told.splitlines() if ":\t" in line)
    assert set(status["Uid"].split()) == {"65532"}, status
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")] == [0, 0, 0], status
    assert status["NoNewPrivs"] == "1", status
    assert "Read-only file system" in _said_by(container, "open('/model/more', 'w')")


def _said_by(container: Any, script: str) -> str:
    """Return what a script in the container prints; the engine loses it now and then when a process ends at once."""
    for _ in range(5):
        done = container.exec_run(["python3", "-c", script])
        if done.output:
            break
    said: str = done.output.decode()
    return said


def _logged_json(container: Any) -> None:
    """Check that every line on standard output is JSON, and that nothing is amiss on the other."""
    for line in container.logs(stderr=False).decode().splitlines():
        assert json.loads(line)["level"] == "info", line
    rest = container.logs(stdout=False).decode()
    assert all(line.startswith("INFO:") for line in rest.splitlines()), rest
