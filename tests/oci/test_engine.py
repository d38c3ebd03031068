"""What the Docker engine is asked without its SDK, by a stand-in on a socket; and by the real one, where it runs."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from modelyard.oci import engine


class Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"/_ping": 200, "/images/a/b:1@sha256:c/json": 200, "/broken/_ping": 500}
        self.send_response(known.get(self.path, 404))
        self.end_headers()

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    path = tmp_path / "engine.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Engine) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield f"unix://{path}"
        server.shutdown()


def test_an_engine_that_answers_is_asked_for_its_images(address: str) -> None:
    assert engine.silence() == ""
    assert not engine.lacks_image("a/b:1@sha256:c")
    assert engine.lacks_image("python:3.11-slim")


def test_why_none_answers_is_said_with_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1"):
        monkeypatch.setenv("DOCKER_HOST", address)
        assert engine.silence().startswith(f"{address}: ")
        assert not engine.lacks_image("a")


@pytest.mark.parametrize("address", ["ssh://user@host", "npipe:////./pipe/docker"])
def test_what_only_the_sdk_can_reach_is_taken_to_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert engine.silence() == ""
    assert not engine.lacks_image("a")


@pytest.mark.docker
def test_the_real_engine_answers(docker_engine: None) -> None:
    assert engine.silence() == ""
    assert engine.lacks_image("modelyard-test-no-such-image:1")
