from __future__ import annotations

import ast
import contextlib
import json
import shutil
import signal
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
from tests.serving.servers import PREDICT, files, group_is_gone, read_all, run, sample_of, slow_request, wait_until

import modelyard.serving

PACKAGE = Path(modelyard.serving.__file__).parent


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
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            asked_for = optional.get(file.parent.name) or optional.get(file.name) or set()
            assert {name.partition(".")[0] for name in names} <= allowed | asked_for, file


def test_the_version_is_the_distributions(pytestconfig: pytest.Config) -> None:
    assert f'version = "{modelyard.serving.__version__}"' in (pytestconfig.rootpath / "pyproject.toml").read_text()


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
