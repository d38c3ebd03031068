from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from modelyard.errors import ToolError
from modelyard.oci.image import Image
from modelyard.oci.registry import check_push, push
from modelyard.oci.transport import Client, is_loopback, send

from .conftest import HTPASSWD, PASSWORD, USER

Make = Callable[..., tuple[Path, Image]]
Start = Callable[..., str]
pytestmark = pytest.mark.registry


@pytest.fixture(autouse=True)
def no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def log_in(tmp_path: Path, host: str, password: str = PASSWORD) -> None:
    (tmp_path / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def digest_there(host: str, name: str, tag: str) -> str | None:
    answer = Client(host, ()).request(
        "HEAD", f"{name}/manifests/{tag}", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}
    )
    return answer.headers.get("docker-content-digest") if answer.status == 200 else None


def test_keeps_the_digest_and_sends_nothing_the_second_time(registry: Start, make_image: Make) -> None:
    host = registry()
    archive, image = make_image({"a": b"1" * 9000}, {"b": b"2"})
    first = push(archive, f"{host}/team/digits", "v1")
    assert first.digest == image.digest == digest_there(host, "team/digits", "v1")
    assert first.reference == f"{host}/team/digits:v1@{image.digest}"
    assert len(first.sent) == 3
    second = push(archive, f"{host}/team/digits", "v1")
    assert (second.sent, second.sent_bytes, second.digest) == ((), 0, image.digest)


def test_whether_a_push_would_be_let_in_can_be_asked(registry: Start, tmp_path: Path) -> None:
    check_push(f"{registry()}/team/digits")
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = registry(f"auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}")
    with pytest.raises(ToolError, match="log in with `docker login"):
        check_push(f"{host}/team/digits")
    log_in(tmp_path, host, "wrong")
    with pytest.raises(ToolError, match="log in with `docker login"):
        check_push(f"{host}/team/digits")
    log_in(tmp_path, host)
    check_push(f"{host}/team/digits")
    with pytest.raises(ToolError, match=r"127.0.0.1:1': cannot be reached: .*\n  check the address"):
        check_push("127.0.0.1:1/team/digits")


def test_a_new_model_sends_its_layer_only(registry: Start, make_image: Make) -> None:
    host = registry()
    archive, _ = make_image({"base": b"same"}, {"model": b"1"})
    push(archive, f"{host}/digits", "v1")
    changed, image = make_image({"base": b"same"}, {"model": b"2"})
    pushed = push(changed, f"{host}/digits", "v1")
    assert set(pushed.sent) == {image.layers[1].digest, image.image_id}
    assert digest_there(host, "digits", "v1") == image.digest


def test_mounts_layers_of_another_repository(registry: Start, make_image: Make) -> None:
    host = registry()
    archive, _ = make_image({"a": b"1"})
    push(archive, f"{host}/one", "v1")
    assert push(archive, f"{host}/two", "v1", mount_from="one").sent == ()


def test_sends_in_pieces(registry: Start, make_image: Make) -> None:
    import os

    host = registry()
    archive, image = make_image({"a": os.urandom(300_000)})
    pushed = push(archive, f"{host}/digits", "v1", chunk_bytes=65536)
    assert len(pushed.sent) == 2
    assert digest_there(host, "digits", "v1") == image.digest


def test_skopeo_copies_what_was_pushed_with_its_digest(registry: Start, make_image: Make, tmp_path: Path) -> None:
    host = registry()
    archive, image = make_image({"a": b"1"})
    push(archive, f"{host}/digits", "v1")
    command = [
        "skopeo",
        "inspect",
        "--tls-verify=false",
        "--format",
        "{{.Digest}}",
        f"docker://{host}/digits@{image.digest}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("the program skopeo is not installed")
    assert done.stdout.strip() == image.digest, done.stderr


def test_password_of_docker_login_is_used(registry: Start, make_image: Make, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    host = registry(f"auth: {{htpasswd: {{realm: test, path: {tmp_path}/htpasswd}}}}")
    archive, image = make_image({"a": b"1"})
    with pytest.raises(ToolError, match="docker login"):
        push(archive, f"{host}/digits", "v1")
    log_in(tmp_path, host, "wrong")
    with pytest.raises(ToolError, match="401"):
        push(archive, f"{host}/digits", "v1")
    log_in(tmp_path, host)
    assert push(archive, f"{host}/digits", "v1").digest == image.digest


class Front(BaseHTTPRequestHandler):
    """A front to a real registry that asks for bearer tokens and gives them out; notes what it was asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body that is written after its headers waits for their ACK, 40 ms
    behind: ClassVar[str] = ""
    asked: ClassVar[list[dict[str, list[str]]]] = []
    busy: ClassVar[int] = 0
    too_large: ClassVar[int] = 1 << 40

    def log_message(self, *args: object) -> None:
        pass

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self.give_token(parse_qs(parts.query))
        elif self.headers.get("Authorization") != "Bearer granted":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="test",scope="ignored"'
            self.answer(401, {"WWW-Authenticate": realm}, b"{}")
        elif Front.busy:
            Front.busy -= 1
            self.answer(503, {"Retry-After": "0"}, b"")
        elif length > Front.too_large:
            self.answer(413, {}, b"")
        else:
            self.pass_on(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815

    def give_token(self, query: dict[str, list[str]]) -> None:
        Front.asked.append(query)
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        allowed = self.headers.get("Authorization") == expected
        self.answer(200 if allowed else 401, {}, b'{"token": "granted"}' if allowed else b"{}")

    def pass_on(self, body: bytes) -> None:
        kept = {k: v for k, v in self.headers.items() if k.lower() not in ("authorization", "host")}
        found = send(self.command, f"http://{Front.behind}{self.path}", body, kept, allow_http=True)
        location = found.headers.get("location", "").replace(Front.behind, self.headers["Host"])
        names = {k: v for k, v in found.headers.items() if k in ("docker-content-digest", "range", "content-type")}
        self.answer(found.status, {**names, **({"Location": location} if location else {})}, found.body)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def front(registry: Start) -> Iterator[str]:
    Front.behind, Front.asked, Front.busy, Front.too_large = registry(), [], 0, 1 << 40
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetches_a_token_for_the_scopes_it_needs(front: str, make_image: Make, tmp_path: Path) -> None:
    archive, image = make_image({"a": b"1"})
    log_in(tmp_path, front)
    assert push(archive, f"{front}/team/digits", "v1", mount_from="other").digest == image.digest
    assert Front.asked == [
        {"service": ["test"], "scope": ["repository:team/digits:pull,push", "repository:other:pull"]}
    ]
    assert digest_there(Front.behind, "team/digits", "v1") == image.digest


def test_a_refused_token_is_told(front: str, make_image: Make, tmp_path: Path) -> None:
    archive, _ = make_image({"a": b"1"})
    log_in(tmp_path, front, "wrong")
    with pytest.raises(ToolError, match="token service answered 401"):
        push(archive, f"{front}/digits", "v1")


def test_tries_again_while_the_registry_is_busy(front: str, make_image: Make, tmp_path: Path) -> None:
    archive, image = make_image({"a": b"1"})
    log_in(tmp_path, front)
    Front.busy = 2
    assert push(archive, f"{front}/digits", "v1").digest == image.digest


def test_goes_over_to_pieces_when_a_proxy_refuses_large_bodies(front: str, make_image: Make, tmp_path: Path) -> None:
    import os

    archive, image = make_image({"a": os.urandom(5 << 20)})
    log_in(tmp_path, front)
    Front.too_large = 4 << 20
    assert push(archive, f"{front}/digits", "v1").digest == image.digest


def test_a_registry_that_is_not_there_is_named(make_image: Make) -> None:
    archive, _ = make_image({"a": b"1"})
    with pytest.raises(ToolError, match=r"127\.0\.0\.1:9.*cannot be reached"):
        push(archive, "127.0.0.1:9/digits", "v1")


def test_plain_http_is_for_this_machine_only() -> None:
    assert [is_loopback(h) for h in ("localhost:5000", "127.9.9.9", "[::1]:5000", "registry.example", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert Client("registry.example", ()).root == "https://registry.example/v2/"
    assert Client("registry.example", (), insecure=True).root == "http://registry.example/v2/"
    assert Client("docker.io", ()).root == "https://registry-1.docker.io/v2/"
    with pytest.raises(ToolError, match="not https"):
        send("GET", "http://registry.example/token", b"", {}, allow_http=False)
