"""nginx for real, with the rendered configuration: TLS and a password on loopback, before a stand-in for TF Serving."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.standins import tensorflow_model_server as stand_in
from tests.standins.images import table_of
from tests.standins.tls import certificate, free_port, needs_nginx

from modelyard.artifacts import ImageFacts, ServerFacts
from modelyard.contexts import CheckContext, TargetContext
from modelyard.rendering.templates import renderer
from modelyard.testing.target import IMAGE
from modelyard_plugins.support import proxy

DIGEST = "nginxinc/nginx-unprivileged:1.29@sha256:" + "d" * 64
PARAMS: dict[str, Any] = {
    "auth": True, "tls": True, "port": 0, "workers": 1, "threads": 0, "max_body_bytes": 100_000, "grace_s": 5, "log_level": "info",
    "proxy_image": DIGEST,
}  # fmt: skip
SERVED = ServerFacts(
    live="/v1/models/digits", ready="/v1/models/digits/versions/1/metadata", protocols=("v1",), grpc_port=8500,
    reads_settings=False,
)  # fmt: skip
SAMPLES = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
ANSWERS = np.array([[0.25, 0.75], [1.0, 0.0]])


def context_of(folder: Path, image: ImageFacts) -> TargetContext:
    render = renderer(folder, (), {})
    return TargetContext(out=folder, project=folder, cache=folder, seed=0, progress=lambda *_, **__: None, log=print, name="digits", version="1", image=image,
                         model={}, render=render)  # fmt: skip


@dataclass
class Proxied:
    """nginx before the stand-in: its port, what the stand-in saw, and the certificate."""

    port: int
    seen: list[tuple[str, str, dict[str, str]]]
    certificate: Path
    process: subprocess.Popen[bytes]

    def ask(self, path: str, body: object = None, password: str | None = "secret") -> tuple[int, Any, dict[str, str]]:
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}")
        if body is not None:
            request.data = json.dumps(body).encode()
        if password is not None:
            request.add_header("Authorization", f"Basic {base64.b64encode(f'user:{password}'.encode()).decode()}")
        trust = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
                return answer.status, json.load(answer), dict(answer.headers)
        except urllib.error.HTTPError as exc:
            return exc.code, json.loads(exc.read()), dict(exc.headers)


@contextlib.contextmanager
def nginx(
    folder: Path, image: ImageFacts, *, before: tuple[str, ...] = (), **changes: Any
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run nginx with the configuration that the targets render; what it writes below /tmp goes into `folder`."""
    params = {**PARAMS, **changes, "port": free_port()}
    made = context_of(folder, image)
    text = proxy.configuration(
        made, SimpleNamespace(**params), host="127.0.0.1", auth_file=str(folder / "htpasswd"), tls_folder=str(folder)
    )
    config = folder / "nginx.conf"
    config.write_text(re.sub(r"(?<= )/tmp/(?=\w+(\.pid)?;)", f"{folder}/", text))
    places = {one: str(folder / Path(one).name) for one in (proxy.CONFIG, proxy.PID, proxy.SEEN)}
    places[f"sleep {proxy.EVERY_S}"] = "sleep 0.2"
    command = [*before, *(_placed(word, places) for word in proxy.command(SimpleNamespace(**params), str(folder)))]
    process = subprocess.Popen(
        command, stdout=(folder / "access.log").open("ab"), stderr=(folder / "error.log").open("ab")
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", params["port"]), 1):
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield params["port"], process
    finally:
        process.terminate()
        process.wait(10)


def _placed(word: str, places: dict[str, str]) -> str:
    for old, new in places.items():
        word = word.replace(old, new)
    return word


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Certificate and users, where nginx's workers may read them: under root they are another user's."""
    with tempfile.TemporaryDirectory(prefix="modelyard-test-proxy-") as name:
        Path(name).chmod(0o755)
        yield _filled(Path(name))


def _filled(made: Path) -> Path:
    certificate(made)
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True).stdout
    (made / "htpasswd").write_text(f"user:{hashed}")
    return made


@pytest.fixture(scope="module")
def proxied(folder: Path) -> Iterator[Proxied]:
    server = stand_in.server(0, "digits", "1", table_of(SAMPLES, ANSWERS), "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    image = msgspec.structs.replace(IMAGE, port=server.server_address[1], server=SERVED)
    with nginx(folder, image) as (port, process):
        yield Proxied(port, server.seen, folder / "tls.crt", process)
    server.shutdown()


@needs_nginx
def test_with_the_password_the_answers_are_the_servers_own(proxied: Proxied) -> None:
    code, answer, headers = proxied.ask("/v1/models/digits:predict", {"instances": SAMPLES.tolist()})
    assert (code, answer) == (200, {"predictions": ANSWERS.tolist()})
    assert "nginx/" not in headers["Server"]
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert proxied.ask("/v1/models/digits")[:2] == (200, {"model_version_status": [status]})
    refused = {"error": "Malformed request: GET /v1/models/digits:predict"}
    assert proxied.ask("/v1/models/digits:predict")[:2] == (400, refused)
    assert "Authorization" not in {key for _, _, given in proxied.seen for key in given}


@needs_nginx
@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_without_it_nothing_reaches_the_server(proxied: Proxied, password: str | None) -> None:
    before = len(proxied.seen)
    for path in (
        "/v1/models/digits",
        "/monitoring/prometheus/metrics",
        "/",
        "/tensorflow.serving.PredictionService/Predict",
    ):
        code, answer, headers = proxied.ask(path, password=password)
        assert (code, answer) == (401, {"error": "user name and password are needed"})
        assert headers["WWW-Authenticate"].startswith("Basic ")
    assert len(proxied.seen) == before


@needs_nginx
def test_the_probe_needs_no_password_and_asks_the_server_nothing(proxied: Proxied) -> None:
    before = len(proxied.seen)
    assert proxied.ask("/healthz", password=None)[:2] == (200, {"live": True})
    assert len(proxied.seen) == before


@needs_nginx
def test_a_request_that_is_too_large_is_refused(proxied: Proxied) -> None:
    code, answer, _ = proxied.ask("/v1/models/digits:predict", {"instances": ["x" * 100_001]})
    assert (code, answer) == (413, {"error": "the request is larger than 100000 bytes"})


@needs_nginx
def test_old_tls_and_plain_http_are_refused(proxied: Proxied) -> None:
    trust = ssl.create_default_context(cafile=str(proxied.certificate))
    trust.minimum_version = ssl.TLSVersion.TLSv1
    trust.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", proxied.port)) as raw,
        pytest.raises(ssl.SSLError),
        trust.wrap_socket(raw, server_hostname="localhost"),
    ):
        pass
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://127.0.0.1:{proxied.port}/healthz", timeout=5)


@needs_nginx
def test_a_server_that_is_gone_is_a_503_in_its_own_words(folder: Path) -> None:
    image = msgspec.structs.replace(IMAGE, port=free_port(), server=SERVED)
    with nginx(folder, image) as (port, process):
        alone = Proxied(port, [], folder / "tls.crt", process)
        assert alone.ask("/v1/models/digits")[:2] == (503, {"error": "the server does not answer"})
        assert alone.ask("/healthz")[0] == 200


@needs_nginx
def test_grpc_goes_through_with_the_password_and_not_without(folder: Path) -> None:
    """With gRPC's own library and TF Serving's own messages; the server behind answers the model's version."""
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving.apis.get_model_status_pb2", reason="needs tensorflow-serving-api")
    from concurrent.futures import ThreadPoolExecutor

    from tensorflow_serving.apis import get_model_status_pb2 as messages
    from tensorflow_serving.apis import model_service_pb2_grpc as service

    class Status(service.ModelServiceServicer):
        def GetModelStatus(self, request: pytest.FixtureRequest, context: Any) -> Any:  # noqa: N802 - gRPC's name
            seen.append(dict(context.invocation_metadata()))
            answer = messages.GetModelStatusResponse()
            answer.model_version_status.add(version=1, state=messages.ModelVersionStatus.AVAILABLE)
            return answer

    seen: list[dict[str, str]] = []
    behind = grpc.server(ThreadPoolExecutor(2))
    service.add_ModelServiceServicer_to_server(Status(), behind)
    facts = msgspec.structs.replace(SERVED, grpc_port=behind.add_insecure_port("127.0.0.1:0"))
    behind.start()
    image = msgspec.structs.replace(IMAGE, port=free_port(), server=facts)
    try:
        with nginx(folder, image) as (port, _):
            trust = grpc.ssl_channel_credentials((folder / "tls.crt").read_bytes())
            with grpc.secure_channel(f"localhost:{port}", trust) as channel:
                ask = service.ModelServiceStub(channel).GetModelStatus
                login = base64.b64encode(b"user:secret").decode()
                answer = ask(
                    messages.GetModelStatusRequest(), metadata=[("authorization", f"Basic {login}")], timeout=10
                )
                assert answer.model_version_status[0].version == 1
                assert "authorization" not in seen[0]
                with pytest.raises(grpc.RpcError) as caught:
                    ask(messages.GetModelStatusRequest(), timeout=10)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
                assert len(seen) == 1
    finally:
        behind.stop(None)


@needs_nginx
def test_without_tls_it_speaks_plain_http_and_without_a_password_it_asks_none(folder: Path) -> None:
    server = stand_in.server(0, "digits", "1", {}, "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    image = msgspec.structs.replace(IMAGE, port=server.server_address[1], server=SERVED)
    try:
        with (
            nginx(folder, image, tls=False, auth=False) as (port, _),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/digits", timeout=5) as answer,
        ):
            assert answer.status == 200
    finally:
        server.shutdown()


@needs_nginx
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to become another user")
def test_it_runs_as_the_user_of_the_pod_without_any_capability(folder: Path) -> None:
    server = stand_in.server(0, "digits", "1", {}, "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    image = msgspec.structs.replace(IMAGE, port=server.server_address[1], server=SERVED)
    pod = ("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs", "--bounding-set=-all")
    try:
        with tempfile.TemporaryDirectory(prefix="modelyard-test-proxy-") as name:
            own = Path(name)
            for file in ("tls.crt", "tls.key", "htpasswd"):
                shutil.copy(folder / file, own)
            (own / "access.log").touch()  # nginx opens /dev/stdout, which runc gives to the container's user
            for path in (own, *own.iterdir()):
                os.chown(path, 65532, 65532)
            with nginx(own, image, before=pod) as (port, process):
                status = Path(f"/proc/{process.pid}/status").read_text()
                assert re.search(r"^Uid:\s+65532\s+65532", status, re.MULTILINE)
                assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
                assert Proxied(port, [], own / "tls.crt", process).ask("/v1/models/digits")[0] == 200
            assert "emerg" not in (own / "error.log").read_text()
    finally:
        server.shutdown()


@needs_nginx
def test_a_certificate_and_users_that_change_are_read_again_and_no_request_fails(folder: Path) -> None:
    """In place, as a file is changed that a container mounts by itself; first a key and a certificate of two pairs."""
    server = stand_in.server(0, "digits", "1", {}, "127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    image = msgspec.structs.replace(IMAGE, port=server.server_address[1], server=SERVED)
    with tempfile.TemporaryDirectory(prefix="modelyard-test-proxy-") as name, tempfile.TemporaryDirectory() as other:
        own, new = Path(name), Path(other)
        own.chmod(0o755)
        for file in ("tls.crt", "tls.key", "htpasswd"):
            shutil.copy(folder / file, own)
        certificate(new)
        trusted = Path(other, "both.crt")
        trusted.write_bytes((own / "tls.crt").read_bytes() + (new / "tls.crt").read_bytes())
        with nginx(own, image) as (port, process):
            before = ssl.get_server_certificate(("127.0.0.1", port))
            with _asked(Proxied(port, server.seen, trusted, process)) as codes:
                shutil.copyfile(new / "tls.key", own / "tls.key")
                _wait_until(lambda: "emerg" in (own / "error.log").read_text())
                assert ssl.get_server_certificate(("127.0.0.1", port)) == before
                shutil.copyfile(new / "tls.crt", own / "tls.crt")
                _wait_until(lambda: ssl.get_server_certificate(("127.0.0.1", port)) != before)
                time.sleep(0.5)
            assert ssl.get_server_certificate(("127.0.0.1", port)) == (new / "tls.crt").read_text()
            assert len(codes) > 10
            assert set(codes) == {200}
            (own / "htpasswd").write_text((own / "htpasswd").read_text().replace("user:", "ann:"))
            assert Proxied(port, [], own / "tls.crt", process).ask("/v1/models/digits")[0] == 401
        assert (own / "error.log").read_text().count("emerg") == 1, "what is wrong is said once"
    server.shutdown()


@contextlib.contextmanager
def _asked(one: Proxied) -> Iterator[list[int]]:
    """Ask again and again, each time on a new connection; gives the answers so far."""
    codes: list[int] = []
    end = threading.Event()

    def ask() -> None:
        while not end.is_set():
            codes.append(one.ask("/v1/models/digits")[0])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield codes
    finally:
        end.set()
        for thread in threads:
            thread.join(10)


def _wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it does not come")


@pytest.mark.parametrize(
    ("changes", "reads_settings", "said"),
    [
        ({"proxy_image": ""}, False, ["proxy_image"]),
        ({"proxy_image": "nginx:1.29"}, False, ["proxy_image"]),
        ({"threads": 2}, False, ["threads"]),
        ({"auth": False, "tls": False, "port": 9000}, False, ["port"]),
        ({"auth": False, "tls": False, "proxy_image": ""}, False, []),
        ({}, False, []),
        ({}, True, ["proxy_image"]),
        ({"proxy_image": "", "threads": 2, "port": 9000}, True, []),
    ],
)
def test_what_means_nothing_is_refused(changes: dict[str, Any], reads_settings: bool, said: list[str]) -> None:
    context = CheckContext(name="digits", version="1", runtime="served", reads_settings=reads_settings)
    assert [found.key for found in proxy.problems(context, SimpleNamespace(**{**PARAMS, **changes}))] == said
