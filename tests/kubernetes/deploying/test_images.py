"""A registry is asked for the image before anything is applied."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from modelyard.errors import ToolError
from modelyard.kubernetes.deploying.images import check_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer

DIGEST = "sha256:" + "a" * 64


class Registry(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an image in a registry that answers what `Registry.status` says."""
    monkeypatch.setattr(Registry, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/team/digits"
    server.shutdown()
    server.server_close()


def documents(image: str, policy: str = "IfNotPresent") -> list[Any]:
    pod = {
        "containers": [{"name": "server", "image": image, "imagePullPolicy": policy}, {"image": "nginx:1@" + DIGEST}]
    }
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": pod}}}]


def check(repository: str, image: str, policy: str = "IfNotPresent") -> list[str]:
    said: list[str] = []
    check_images(documents(image, policy), repository, "push:digits", said.append, insecure=False)
    return said


def test_the_registry_is_asked_for_the_digest(registry: str) -> None:
    assert check(registry, f"{registry}:0.1.0@{DIGEST}") == []
    assert Registry.asked == [f"/v2/team/digits/manifests/{DIGEST}"]


def test_an_image_that_is_not_there_is_to_be_pushed(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "status", 404)
    with pytest.raises(ToolError, match=rf"the registry has no {registry}:0.1.0@{DIGEST}\n  push it: doit push:digits"):
        check(registry, f"{registry}:0.1.0@{DIGEST}")


@pytest.mark.parametrize("status", [403, 500])
def test_a_registry_that_cannot_be_asked_from_here_stops_nothing(
    status: int, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "status", status)
    [said] = check(registry, f"{registry}:0.1.0@{DIGEST}")
    assert said.startswith("warning: cannot ask for the image: registry '127.0.0.1:")
    assert "\n" not in said


def test_images_that_nodes_have_and_others_are_not_asked_for(registry: str) -> None:
    assert check(registry, f"{registry}:0.1.0") == []
    assert check(registry, f"{registry}:0.1.0@{DIGEST}", policy="Never") == []
    assert check("elsewhere/digits", f"{registry}:0.1.0@{DIGEST}") == []
    assert Registry.asked == []


def test_nothing_is_applied_without_the_image_and_what_runs_is_not_asked_for(
    registry: str, deployer: Deployer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.repository = registry
    monkeypatch.setattr(Registry, "status", 404)
    with pytest.raises(ToolError, match="push it: doit push:digits"):
        deployer()
    assert cluster.written == []
    monkeypatch.setattr(Registry, "status", 200)
    deployer()
    asked = len(Registry.asked)
    deployer(port=9090)
    assert len(Registry.asked) == asked
