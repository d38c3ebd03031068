"""A registry that answers what no registry should: the push ends, in words, in bounded time and memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.errors import ToolError
from modelyard.oci import transport
from modelyard.oci.image import Image
from modelyard.oci.registry import push
from modelyard.oci.transport import Answer, Client

Make = Callable[..., tuple[Path, Image]]
Script = Callable[["Odd"], None]


class Odd(BaseHTTPRequestHandler):
    """Answers what the test's script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body that is written after its headers waits for their ACK, 40 ms

    def log_message(self, *args: object) -> None:
        pass

    def handle_any(self) -> None:
        self.close_connection = True
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.script(self)  # type: ignore[attr-defined]

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def odd(server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], str]:
    """Return a function that lets the registry answer as a script says, and gives its host."""
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(transport, "_pause_s", lambda answer, attempt: 0)

    def answering(script: Script) -> str:
        server.script = script  # type: ignore[attr-defined]
        return f"127.0.0.1:{server.server_port}"

    return answering


def refusal(host: str, timeout_s: float = 120) -> str:
    with pytest.raises(ToolError) as caught:
        Client(host, ("repository:a:pull",), timeout_s=timeout_s, tries=1).request("GET", "a/blobs/x")
    assert host.partition(":")[0] in str(caught.value)
    assert "\n  " in str(caught.value)
    return str(caught.value)


def test_an_answer_without_an_end_is_not_read_to_its_end(odd: Callable[[Script], str]) -> None:
    def endless(handler: Odd) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 20))
        except OSError:  # the other side has had enough
            pass

    assert "has more than 4,194,304 bytes\n  check that it is a registry" in refusal(odd(endless))


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_a_byte_at_a_time_has_an_end(odd: Callable[[Script], str], part: str) -> None:
    """Each byte comes in time: only the whole does not."""
    gone = threading.Event()

    def drip(handler: Odd) -> None:
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\n" + (b"X-Slow: " if part == "headers" else b"Content-Length: 99999\r\n\r\n")
        )
        try:
            while not gone.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            gone.set()

    said = refusal(odd(drip), timeout_s=0.3)
    assert "cannot be reached: no whole answer within 0 s" in said
    assert gone.wait(30), "the connection is closed, too: nobody goes on reading"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'"token"',
        b"{}",
        b'{"token": 7}',
        b'{"token": "a\\nb"}',
        b"\xff",
        b"[" * 100_000,
        b'{"token": ""}',
    ],
)
def test_a_token_that_is_none_is_told(odd: Callable[[Script], str], body: bytes) -> None:
    def script(handler: Odd) -> None:
        if handler.path.startswith("/token"):
            handler.answer(200, body)
        else:
            handler.answer(401, WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')

    assert "its token service answered 200: and gave no token" in refusal(odd(script))


@pytest.mark.parametrize(
    "realm", ["http://[", "http://127.0.0.1:port/", "file:///etc/passwd", "", "http://\u00e9 x/", "//"]
)
def test_a_realm_that_is_no_address_is_told(odd: Callable[[Script], str], realm: str) -> None:
    refusal(odd(lambda handler: handler.answer(401, WWW_Authenticate=f'Bearer realm="{realm}"')))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (500, "the registry, or a proxy in front of it, has failed: look at its log, and push again"),
        (503, "the registry, or a proxy in front of it, has failed: look at its log, and push again"),
        (429, "the registry asks to wait: push again later"),
        (404, "check the repository's name"),
        (413, "takes no body of this size"),
        (400, "check the repository and your rights to it"),
    ],
)
def test_the_advice_fits_the_answer(odd: Callable[[Script], str], make_image: Make, status: int, advice: str) -> None:
    archive, _ = make_image({"a": b"1"})
    host = odd(lambda handler: handler.answer(404 if handler.command == "HEAD" else status))
    with pytest.raises(ToolError, match=rf"POST blob sha256:.*: {status}, expected 202") as caught:
        push(archive, f"{host}/digits", "v1")
    assert advice in str(caught.value).splitlines()[1]


@pytest.mark.parametrize("least", ["many", "-1", "1e9", "99999999999999999999", "268435457", "\u00b2"])
def test_pieces_of_a_size_that_is_none_are_told(odd: Callable[[Script], str], make_image: Make, least: str) -> None:
    archive, _ = make_image({"a": b"1"})

    def script(handler: Odd) -> None:
        if handler.command == "HEAD":
            handler.answer(404)
        else:
            handler.answer(202, Location="/v2/up", OCI_Chunk_Min_Length=least)

    with pytest.raises(
        ToolError, match=r"asks for pieces of at least .* \(OCI-Chunk-Min-Length\)\n  allowed: 0 to 268435456"
    ):
        push(archive, f"{odd(script)}/digits", "v1", chunk_bytes=1)


@pytest.mark.parametrize("location", ["http://[", "http://127.0.0.1:x/", "file:///etc/passwd", "//:"])
def test_a_place_that_is_none_is_told(odd: Callable[[Script], str], make_image: Make, location: str) -> None:
    archive, _ = make_image({"a": b"1"})
    host = odd(lambda handler: handler.answer(404 if handler.command == "HEAD" else 202, Location=location))
    with pytest.raises(ToolError, match="\n  "):
        push(archive, f"{host}/digits", "v1")


def test_what_a_registry_says_is_shown_in_one_plain_line() -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "\x1b[31mred\nnext" + "x" * 9999}]}).encode()
    said = Answer(400, {}, body).errors()
    assert said.startswith("DENIED:  [31mred next")
    assert len(said) <= 500
    assert said.isprintable()


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["errors", "code", "message", "token"]), x),
    ).map(lambda x: json.dumps(x).encode())
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_body_is_read_without_an_exception(body: bytes) -> None:
    assert Answer(400, {}, body).errors().isprintable()
    assert isinstance(transport._token_in(body), str)
