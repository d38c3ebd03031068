"""Start the server of an image in a container, where a Docker engine runs."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, Any

from modelyard.errors import StageFailed, ToolError
from modelyard.launch.local_broker import free_port
from modelyard.launch.started import END_S, Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelyard.artifacts import ImageFacts
    from modelyard.launch.started import Beside

_POLL_S = 0.1


def find_engine() -> Any:
    """Return a client of the Docker engine, or None if there is no SDK or no engine."""
    try:
        import docker
    except ImportError:
        return None
    try:
        client = docker.from_env()
        client.ping()
    except Exception:
        return None
    return client


@contextlib.contextmanager
def in_container(
    client: Any, folder: Path, facts: ImageFacts, settings: dict[str, str], log: Path, beside: Beside | None = None
) -> Iterator[Started]:
    """Run the image hardened as the Kubernetes manifests ask: read-only root, no capability, not root."""
    image, loaded = _load(client, folder, facts)
    port = free_port() if beside else facts.port
    where, network = (
        _on_loopback(facts, beside, port) if beside else ({}, {"ports": {f"{port}/tcp": ("127.0.0.1", None)}})
    )
    container = client.containers.run(
        image,
        detach=True,
        environment=settings | where,
        read_only=True,
        tmpfs={"/tmp": "size=64m"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        **network,
    )

    def is_alive() -> bool:
        container.reload()
        return bool(container.status == "running")

    try:
        stats = functools.partial(client.api.stats, container.id, stream=False, one_shot=True)
        url = f"http://127.0.0.1:{port}" if beside else _published(container, port)
        yield Started(url, "container", is_alive, functools.partial(_end, container), stats)
    finally:
        with log.open("ab") as file:
            file.write(container.logs())
        container.remove(force=True)
        if loaded:
            _remove(client, image)


def _on_loopback(facts: ImageFacts, beside: Beside, port: int) -> tuple[dict[str, str], dict[str, Any]]:
    """Return further variables, and how the container is started that shares this machine's loopback."""
    own = {"MODELYARD_HOST": "127.0.0.1", "MODELYARD_PORT": str(port)}
    if facts.server.grpc_port:
        own["MODELYARD_GRPC_PORT"] = "0"  # the image's own may be taken on this machine
    files = str(beside.files)
    return own | dict(beside.settings), {"network_mode": "host", "volumes": {files: {"bind": files, "mode": "ro"}}}


def _end(container: Any, number: int) -> int:
    container.kill(signal=number)
    return int(container.wait(timeout=END_S)["StatusCode"])


def _remove(client: Any, image: str) -> None:
    """Remove an image that was loaded, unless another check runs it by now: that one leaves it to whoever comes last."""
    from docker.errors import APIError

    try:
        client.images.remove(image, force=True)
    except APIError as exc:
        if exc.status_code not in (404, 409):
            raise


def _load(client: Any, folder: Path, facts: ImageFacts) -> tuple[str, bool]:
    """Return the image's id in the engine, and whether it had to be loaded."""
    from docker.errors import ImageNotFound

    for name in (facts.image_id, facts.digest):
        with contextlib.suppress(ImageNotFound):
            return str(client.images.get(name).id), False
    if facts.archive is None:
        msg = f"check: the engine no longer has {facts.repository}:{facts.tag}\n  run `doit -a image` to build it again"
        raise ToolError(msg)
    with (folder / facts.archive).open("rb") as archive:
        return str(client.images.load(archive)[0].id), True


def _published(container: Any, port: int) -> str:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        container.reload()
        found = container.ports.get(f"{port}/tcp")
        if found:
            return f"http://127.0.0.1:{found[0]['HostPort']}"
        if container.status == "exited":
            break
        time.sleep(_POLL_S)
    msg = "check: the container ended before it listened\n  its output is in the log"
    raise StageFailed(msg)
