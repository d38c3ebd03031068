"""Real models, and real servers in processes of their own on free ports of loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from tests.known import SHARED
from tests.serving.servers import make_certificate
from tests.shared import made_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
START_S = 60


@pytest.fixture(scope="session")
def models(request: pytest.FixtureRequest) -> Path:
    """A folder with one folder a model; made once by TensorFlow, in another process, and kept in pytest's cache if there is one."""
    sources = b"".join(
        (ROOT / "tests" / name).read_bytes()
        for name in ("serving/build_models.py", "serving/stream_models.py", "facts.py")
    )
    cache = getattr(request.config, "cache", None)
    parent = cache.mkdir("modelyard-serving") if cache else Path(os.environ[SHARED])
    return made_once(parent / hashlib.sha256(sources).hexdigest()[:16], _make_models)


def _make_models(folder: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow, to make the models")
    command = [sys.executable, "-m", "tests.serving.build_models", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=_environment())
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def raw() -> np.ndarray:
    """Raw samples, uint8, shape (7, 8, 8, 1), values 0 to 16."""
    return np.random.default_rng(11).integers(0, 17, (7, 8, 8, 1)).astype(np.uint8)


@pytest.fixture(scope="session")
def expected() -> Callable[[Path, np.ndarray], np.ndarray]:
    """Gives what the interpreter itself says of raw samples, one by one: an implementation apart from the server's."""
    return interpreter_probabilities


def interpreter_probabilities(folder: Path, raw: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    facts = json.loads((folder / "model.json").read_text())
    rules = facts["inputs"][0]["preprocessing"]
    interpreter = Interpreter(model_path=str(folder / facts["file"]))
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    batch = source["shape"][0]
    rows = []
    for sample in raw:
        value = (sample.astype(np.float32) * np.float32(rules["scale"]) - np.float32(rules["mean"])) / np.float32(
            rules["std"]
        )
        if source["dtype"] is not np.float32:
            scale, zero = source["quantization"]
            limits = np.iinfo(source["dtype"])
            value = np.clip(np.round(value / np.float32(scale)) + zero, limits.min, limits.max)
        interpreter.set_tensor(source["index"], np.stack([value.astype(source["dtype"])] * batch))
        interpreter.invoke()
        answer = interpreter.get_tensor(sink["index"])[0].astype(np.float64)
        if sink["dtype"] is not np.float32:
            scale, zero = sink["quantization"]
            answer = (answer - zero) * scale
        rows.append(np.exp(answer - answer.max()) / np.exp(answer - answer.max()).sum())
    return np.array(rows, np.float32)


@dataclass
class Sent:
    """A request that is on its way."""

    peer: socket.socket

    def answer(self) -> httpx.Response:
        with self.peer, contextlib.closing(http.client.HTTPResponse(self.peer)) as response:
            response.begin()
            return httpx.Response(response.status, headers=response.getheaders(), content=response.read())

    def reset(self) -> None:
        """Go away without a word."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


@dataclass
class Running:
    """A server that listens; `client` asks it, `logs` and `errors` are the lines it wrote so far."""

    process: subprocess.Popen[str]
    port: int
    tls: bool
    logs: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def grpc_port(self) -> int:
        return int(self.wait_for_log("listening")["grpc_port"])

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **{"verify": False, **options})

    def send(self, path: str, message: object) -> Sent:
        """Send a request in one piece: when it counts as in progress, it waits for its prediction already."""
        body = json.dumps(message).encode()
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        peer.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return Sent(peer)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def wait_for_log(self, event: str, timeout_s: float = 10) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for line in list(self.logs):
                if line["event"] == event:
                    return line
            time.sleep(0.01)
        msg = f"no {event!r} in {self.logs}"
        raise AssertionError(msg)


@pytest.fixture(scope="session")
def start() -> Callable[..., contextlib.AbstractContextManager[Running]]:
    """Starts a server: `with start(model_folder, USERNAME="u", ...) as server`."""
    return started


@contextlib.contextmanager
def started(
    folder: Path, command: list[str] | None = None, cwd: Path | None = None, **settings: str
) -> Iterator[Running]:
    values = {
        "MODEL_DIR": str(folder),
        "MODEL_NAME": "digits",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "DRAIN_S": "0",
        **settings,
    }
    environment = _environment() | {f"MODELYARD_{name}": value for name, value in values.items()}
    process = subprocess.Popen(
        command or [sys.executable, "-m", "modelyard.serving"],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield _listening(process, tls="TLS_CERT_FILE" in settings)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _listening(process: subprocess.Popen[str], *, tls: bool) -> Running:
    running = Running(process, 0, tls)
    heard: queue.Queue[int | None] = queue.Queue()
    told, failed = process.stdout, process.stderr
    assert told
    assert failed

    def listen() -> None:
        for text in told:
            line = json.loads(text)
            running.logs.append(line)
            if line["event"] == "listening":
                heard.put(line["port"])
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    # LiteRT writes to standard error; a full pipe would stop it.
    errors = running.errors
    threading.Thread(target=lambda: errors.extend(failed), daemon=True).start()
    port = heard.get(timeout=START_S)
    assert port, f"the server ended: {''.join(errors)}"
    running.port = port
    return running


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELYARD_")}
    return kept | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Running]:
    """A server of the float32 model, without a password."""
    with started(models / "float32", MAX_BATCH="32", MAX_BODY_BYTES="200000") as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def raw_client(models: Path) -> Iterator[httpx.Client]:
    """A client of a server whose raw samples are float32."""
    with started(models / "float32-raw") as running, running.client() as client:
        yield client


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1 and its key, tls.crt and tls.key."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder
