"""The server as a process: its start, its end, and what it does meanwhile."""

from __future__ import annotations

import ast
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serving.conftest import Running

import modelyard.serving
from modelyard.serving import listener as listener_module
from modelyard.serving.errors import StartError

PREDICT = "/v1/models/digits:predict"
PACKAGE = Path(modelyard.serving.__file__).parent


def slow_request(server: Any, body: Any) -> Any:
    """A request whose head, and all of its body but the last byte, are with the server."""
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    peer.sendall(head.encode() + body[:-1])
    time.sleep(0.3)
    return peer


def read_all(peer: Any) -> bytes:
    data = b""
    while chunk := peer.recv(65536):
        data += chunk
    return data


def test_sigterm_turns_readiness_off_serves_on_and_ends_with_0(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray
) -> None:
    body = json.dumps({"instances": raw.tolist()}).encode()
    with start(models / "float32", DRAIN_S="1.5", LOG_LEVEL="debug") as server, server.client() as client:
        assert client.get("/v2/health/ready").status_code == 200
        peer = slow_request(server, body)

        server.process.send_signal(signal.SIGTERM)
        server.wait_for_log("draining")

        ready = client.get("/v2/health/ready")
        assert (ready.status_code, ready.json(), ready.headers["connection"]) == (503, {"ready": False}, "close")
        assert client.get("/v2/models/digits/ready").status_code == 503
        assert client.get("/v2/health/live").status_code == 200
        assert client.post(PREDICT, content=body).status_code == 200, "a new connection is served while it drains"

        time.sleep(2)
        with pytest.raises(httpx.ConnectError):
            client.get("/v2/health/live")
        assert server.process.poll() is None, "it waits for the request in flight"
        peer.sendall(body[-1:])
        answer = read_all(peer)

        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"predictions"}
        assert server.process.wait(timeout=10) == 0
        assert server.wait_for_log("stopped")
        assert [line["event"] for line in server.logs if line["level"] in ("warning", "error")] == []
    assert group_is_gone(server.process.pid)


def group_is_gone(pid: int) -> bool:
    """Whether no process of the server's session is left."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_request_that_never_ends_is_dropped_after_the_grace(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32", GRACE_S="1") as server:
        with slow_request(server, b"x" * 10):
            start_s = time.monotonic()
            assert server.stop() == 0
        assert 0.5 < time.monotonic() - start_s < 8


@pytest.mark.parametrize("signals", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)])
def test_a_second_sigterm_or_ctrl_c_does_not_wait(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, signals: tuple[Any, ...]
) -> None:
    with start(models / "float32", DRAIN_S="600") as server:
        for number in signals:
            server.process.send_signal(number)
            server.wait_for_log("draining")
            time.sleep(0.2)

        assert server.process.wait(timeout=10) == 0


def test_an_idle_connection_does_not_hold_the_server(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    with start(models / "float32") as server, server.client() as client:
        assert client.get("/v2/health/live").status_code == 200

        assert server.stop() == 0


def test_many_clients_get_their_own_answers(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
) -> None:
    want = expected(models / "float32", raw)

    def ask(number: int) -> tuple[Any, Any]:
        row, protocol = number % len(raw), number % 2
        sample = raw[row : row + 1].tolist()
        if protocol:
            tensor = {"name": "input", "datatype": "UINT8", "shape": [1, 8, 8, 1], "data": sample}
            return row, client.post("/v2/models/digits/infer", json={"inputs": [tensor]}).json()["outputs"][0]["data"]
        return row, client.post(PREDICT, json={"instances": sample}).json()["predictions"][0]

    with start(models / "float32", WORKERS="2", THREADS="1") as server, server.client() as client:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(ask, range(200)))
        total = sample_of(client, "modelyard_samples_total")

    for row, probabilities in answers:
        np.testing.assert_allclose(probabilities, want[row], atol=1e-6)
    assert total == 200


def sample_of(client: Any, name: str) -> Any:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_one_request_too_many_is_503(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    """A backend of its own, that predicts only when a file is there."""
    gate = tmp_path / "gate"
    (tmp_path / "waiting.py").write_text(
        "import time, numpy as np, pathlib\n"
        "class Waiting:\n"
        "    def __init__(self, gate): self.gate, self.first = pathlib.Path(gate), True\n"
        "    def predict(self, raw):\n"
        "        while not self.first and not self.gate.exists(): time.sleep(0.01)\n"
        "        self.first = False\n"
        "        return np.full((len(raw), 10), 0.1, np.float32)\n"
        f"def open_waiting(folder, threads): return Waiting({str(gate)!r})\n"
    )
    body = {"instances": np.zeros((1, 8, 8, 1), int).tolist()}
    tensor = {"name": "input", "datatype": "UINT8", "shape": [1, 8, 8, 1], "data": [0] * 64}
    command = [sys.executable, "-m", "modelyard.serving"]
    # The folder in which it starts is where `-m` looks first.
    with (
        start(models / "float32", command, tmp_path, BACKEND="waiting:open_waiting", MAX_QUEUE="1") as server,
        server.client() as client,
    ):
        held = [server.send(PREDICT, body) for _ in range(2)]
        wait_until(lambda: sample_of(client, "modelyard_requests_in_progress") == 3)
        refused = client.post(PREDICT, json=body)
        refused_v2 = client.post("/v2/models/digits/infer", json={"inputs": [tensor]})
        live = client.get("/v2/health/live")
        gate.touch()
        answers = [one.answer() for one in held]

    assert (refused.status_code, refused.json()) == (503, {"error": "2 requests wait already; try again later"})
    assert (refused_v2.status_code, refused_v2.json()) == (503, refused.json())
    assert live.status_code == 200, "waiting predictions do not stop the event loop"
    assert [answer.json()["predictions"][0][0] for answer in answers] == [0.1, 0.1]


def wait_until(condition: Any, timeout_s: int = 10) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_a_backend_that_fails_is_a_500_that_tells_the_client_nothing(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(
        "import numpy as np\n"
        "class Failing:\n"
        "    asked = 0\n"
        "    def predict(self, raw):\n"
        "        self.asked += 1\n"
        "        if self.asked > 1: raise RuntimeError('the inside story')\n"
        "        return np.full((len(raw), 10), 0.1, np.float32)\n"
        "def open_failing(folder, threads): return Failing()\n"
    )
    body = {"instances": np.zeros((1, 8, 8, 1), int).tolist()}
    command = [sys.executable, "-m", "modelyard.serving"]
    with (
        start(models / "float32", command, tmp_path, BACKEND="failing:open_failing") as server,
        server.client() as client,
    ):
        answer = client.post(PREDICT, json=body)
        again = client.post(PREDICT, json=body)
        failed = server.wait_for_log("failed")

    assert (answer.status_code, answer.json()) == (500, {"error": "internal error; the server's log has the reason"})
    assert again.status_code == 500, "the connection and the server go on"
    assert "the inside story" in failed["traceback"]


def test_the_package_runs_alone_under_another_name_on_a_read_only_folder(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    tmp_path: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "modelyard_serving", ignore=shutil.ignore_patterns("__pycache__"))
    probe = tmp_path / "sitecustomize.py"
    probe.write_text(
        "import sys, importlib.abc\n"
        "class Refuse(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('modelyard', 'tensorflow', 'msgspec', 'jinja2', 'doit'):\n"
        "            raise ImportError(f'{name} is not in the image')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    for folder in (tmp_path, tmp_path / "modelyard_serving"):
        folder.chmod(0o555)
    command = ["env", f"PYTHONPATH={tmp_path}", sys.executable, "-m", "modelyard_serving"]
    with start(models / "float32", command, tmp_path) as server, server.client() as client:
        answer = client.post(PREDICT, json={"instances": raw.tolist()})
    tmp_path.chmod(0o755)

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "float32", raw), atol=1e-6)


def test_imports_are_relative_or_in_the_requirements(pytestconfig: pytest.Config) -> None:
    folder = pytestconfig.rootpath / "plugins/runtimes"

    def listed(*names: str) -> set[str]:
        texts = ((folder / f"{name}-requirements.txt").read_text() for name in names)
        return {line.split("==")[0].replace("-", "_") for text in texts for line in text.splitlines() if "==" in line}

    allowed = listed("litert", "onnxruntime") | set(sys.stdlib_module_names)
    optional = {"grpc": listed("grpc"), "oidc.py": listed("oidc")}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            asked_for = optional.get(file.parent.name) or optional.get(file.name) or set()
            assert {name.partition(".")[0] for name in names} <= allowed | asked_for, file


def test_the_version_is_the_distributions(pytestconfig: pytest.Config) -> None:
    assert f'version = "{modelyard.serving.__version__}"' in (pytestconfig.rootpath / "pyproject.toml").read_text()


def run(*arguments: Any, **settings: Any) -> Any:
    """Start the server where it cannot start; return what came of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    settings = {"HOST": "127.0.0.1", "PORT": "0", **settings}
    environment = kept | {f"MODELYARD_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "modelyard.serving", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def assert_one_line(result: Any, *parts: Any) -> None:
    errors = [line for line in result.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:"))]
    assert (result.returncode, len(errors)) == (2, 1), result.stderr
    assert errors[0].startswith("modelyard.serving: ")
    assert all(part in errors[0] for part in parts), errors[0]


def test_a_port_in_use_is_one_line_and_exit_code_2(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(MODEL_DIR=models / "float32", PORT=port)

    assert_one_line(result, f"127.0.0.1:{port}: cannot listen: Address already in use; set MODELYARD_PORT")


def test_a_port_that_another_takes_meanwhile_is_said_too() -> None:
    with listener_module.listen("127.0.0.1", 0) as mine:
        port = mine.getsockname()[1]
        with listener_module.listen("127.0.0.1", port) as other:
            other.listen()

            with pytest.raises(StartError, match=f"127.0.0.1:{port}: cannot listen: Address already in use"):
                listener_module.begin(mine)


def test_what_is_missing_or_wrong_is_one_line_and_exit_code_2(models: Path, tmp_path: Path) -> None:
    assert_one_line(run(MODEL_DIR=tmp_path), f"{tmp_path}/model.json: No such file or directory")
    assert_one_line(run(MODEL_DIR=models / "float32", HOST="192.0.2.1"), "192.0.2.1:0: cannot listen", "MODELYARD_HOST")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="magic"), "unknown backend 'magic'; known: litert")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="no_such:x"), "cannot be loaded: No module named")
    assert_one_line(run(MODEL_DIR=models / "float32", BACKEND="os:getcwd"), "backend 'os:getcwd' cannot open the model")
    assert_one_line(run(MODEL_DIR=models / "float32", PASSWORD_FILE="/no/such"), "MODELYARD_PASSWORD_FILE")
    assert_one_line(run("--port", "x", MODEL_DIR=models / "float32"), "MODELYARD_PORT: 'x'")
    assert_one_line(run("--events-once", MODEL_DIR=models / "float32"), "MODELYARD_EVENTS_URL is not set")


def test_a_damaged_model_is_one_line_and_exit_code_2(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "float32", tmp_path / "m")
    (tmp_path / "m" / "model.tflite").write_bytes(b"TFL3" * 9)

    assert_one_line(run(MODEL_DIR=tmp_path / "m"), "not a model that LiteRT can run")


def test_options_stand_above_the_environment(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path
) -> None:
    options = ["--model-name", "other", "--port", "0"]
    command = [sys.executable, "-m", "modelyard.serving", *options]
    with start(models / "float32", command, PORT="1") as server, server.client() as client:
        assert client.get("/v1/models/other").status_code == 200
        assert client.get("/v1/models/digits").status_code == 404


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1 and its key, tls.crt and tls.key."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


def make_certificate(folder: Path, days: int = 2) -> None:
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days)]
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "tls.key", "-out", folder / "tls.crt"]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)


def files(folder: Path) -> dict[str, str]:
    return {"TLS_CERT_FILE": str(folder / "tls.crt"), "TLS_KEY_FILE": str(folder / "tls.key")}


def test_tls_with_a_password_predicts_as_the_interpreter_does(
    start: Callable[..., contextlib.AbstractContextManager[Running]],
    models: Path,
    raw: np.ndarray,
    expected: Callable[[Path, np.ndarray], np.ndarray],
    certificate: Path,
) -> None:
    trusted = ssl.create_default_context(cafile=certificate / "tls.crt")
    login = {"USERNAME": "ann", "PASSWORD": "pass word"}
    with (
        start(models / "int8-io", **files(certificate), **login) as server,
        server.client(verify=trusted, auth=("ann", "pass word")) as client,
    ):
        answer = client.post(PREDICT, json={"instances": raw.tolist()})
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", server.port)) as peer, pytest.raises(ssl.SSLError):
            old.wrap_socket(peer)
        with (
            server.client(verify=True) as stranger,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            stranger.get("/v2/health/live")
        with httpx.Client() as plain, pytest.raises(httpx.HTTPError):
            plain.get(f"http://127.0.0.1:{server.port}/v2/health/live")
        stop_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - stop_s < 5, "an idle TLS client does not hold the server"

    np.testing.assert_allclose(answer.json()["predictions"], expected(models / "int8-io", raw), atol=1e-6)


def ask_with_tls(port: int, context: Any) -> None:
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)) as client:
        client.request("GET", "/v2/health/live")
        assert client.getresponse().status == 200


def ask_without_tls(port: int, context: Any) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(100)[:1] != b"H"


def distrust(port: int, context: Any) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(peer, server_hostname="127.0.0.1")


@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="needs /proc, to see how much memory the server takes"
)
def test_a_connection_with_tls_that_has_ended_holds_no_memory(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, certificate: Path
) -> None:
    """Each has 256 KiB to read into, and probes alone make hundreds in an hour."""
    context = ssl.create_default_context(cafile=certificate / "tls.crt")
    with start(models / "float32", **files(certificate)) as server:

        def memory_mib() -> Any:
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

        for end in (ask_with_tls, ask_without_tls, distrust):
            for _ in range(10):
                end(server.port, context)
            before = memory_mib()
            for _ in range(150):
                end(server.port, context)
            assert memory_mib() - before < 15, end.__name__


def test_a_key_that_does_not_fit_or_asks_for_a_pass_phrase_is_one_line(
    models: Path, certificate: Path, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    other = files(certificate) | {"TLS_KEY_FILE": tmp_path / "tls.key"}
    assert_one_line(run(MODEL_DIR=models / "float32", **other), "MODELYARD_TLS_KEY_FILE", "no pair in PEM")

    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", tmp_path / "tls.key", "-out", locked]
    subprocess.run(encrypt, check=True, capture_output=True)
    shut = files(tmp_path) | {"TLS_KEY_FILE": locked}
    assert_one_line(run(MODEL_DIR=models / "float32", **shut), "without a pass phrase")


def probe(server: Any, what: Any, **settings: Any) -> Any:
    return run("--probe", what, PORT=server.port, **settings).returncode


def test_the_probe_asks_the_server_on_its_port(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, certificate: Path
) -> None:
    with start(models / "float32", DRAIN_S="20") as server:
        assert (probe(server, "live"), probe(server, "ready"), probe(server, "ready", HOST="0.0.0.0")) == (0, 0, 0)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_log("draining")
        assert (probe(server, "live"), probe(server, "ready")) == (0, 1)
    assert probe(server, "live") == 1
    login = {"USERNAME": "ann", "PASSWORD": "x"}
    with start(models / "float32", **files(certificate), **login) as server:
        assert probe(server, "ready", **files(certificate), **login) == 0


def test_ipv6_is_listened_on() -> None:
    try:
        with listener_module.listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except StartError as exc:
        pytest.skip(f"no IPv6 here: {exc}")
