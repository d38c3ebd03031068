"""Start the server of an image as it ships: in a container where an engine runs, else from the image's own files."""

from __future__ import annotations

import contextlib
import functools
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ImageFacts
from modelyard.errors import StageFailed, ToolError
from modelyard.system import is_linux

if TYPE_CHECKING:
    from modelyard.oci.rootfs import Rootfs

_POLL_S = 0.1


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
        how: where it runs, for people: `container` or `image files`.
        username: the user name that it asks for; empty: it asks for none.
        password: the password that it asks for.
        stats: gives what the engine says of its container; None: it runs in none.
    """

    url: str
    how: str
    username: str = ""
    password: str = ""
    stats: Callable[[], Mapping[str, Any]] | None = None


@contextlib.contextmanager
def running(folder: Path, facts: ImageFacts, timeout_s: float, log: Path) -> Iterator[Server]:
    """Start the image in `folder`, wait until it is ready, and stop it at the end.

    A server that can ask for a user name and a password is given new ones.

    Raises:
        StageFailed: the server ended, or is not ready after `timeout_s` seconds.
        ToolError: the image lives in an engine, or its server runs in one only, and none answers.
    """
    engine = _engine()
    if engine is None and facts.archive is None:
        msg = f"check: the builder {facts.builder!r} leaves its image in a Docker engine, and none answers\n  start it, or use a builder that writes an archive"
        raise ToolError(msg)
    if engine is None and not (facts.server.reads_settings and is_linux()):
        msg = (
            "check: here this image's server runs in a container only, and no Docker engine answers\n"
            "  start one; or go on without: [tool.modelyard.check] start = false, which the result then says"
        )
        raise ToolError(msg)
    login = ("check", secrets.token_urlsafe(24)) if facts.server.reads_settings else ("", "")
    settings = _settings(*login) if facts.server.reads_settings else {}
    place = _container(engine, folder, facts, settings, log) if engine else _process(folder, facts, settings, log)
    with place as (url, is_alive, stats):
        _wait(f"{url}{facts.server.ready}", is_alive, timeout_s)
        yield Server(url, "container" if engine else "image files", *login, stats=stats)


def _settings(username: str, password: str) -> dict[str, str]:
    # nobody else asks this server, so that it need not drain
    return {"MODELYARD_USERNAME": username, "MODELYARD_PASSWORD": password, "MODELYARD_DRAIN_S": "0"}


def _engine() -> Any:
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
def _container(client: Any, folder: Path, facts: ImageFacts, settings: dict[str, str], log: Path) -> Iterator[Any]:
    """Run the image hardened as the Kubernetes manifests ask: read-only root, no capability, not root."""
    image, loaded = _load(client, folder, facts)
    container = client.containers.run(
        image,
        detach=True,
        environment=settings,
        read_only=True,
        tmpfs={"/tmp": "size=64m"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        ports={f"{facts.port}/tcp": ("127.0.0.1", None)},
    )

    def is_alive() -> bool:
        container.reload()
        return bool(container.status == "running")

    try:
        stats = functools.partial(client.api.stats, container.id, stream=False, one_shot=True)
        yield _published(container, facts.port), is_alive, stats
    finally:
        with log.open("ab") as file:
            file.write(container.logs())
        container.remove(force=True)
        if loaded:
            _remove(client, image)


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


@contextlib.contextmanager
def _process(folder: Path, facts: ImageFacts, settings: dict[str, str], log: Path) -> Iterator[Any]:
    """Run the image's own Python on the image's own files, without an engine and without root."""
    from modelyard.oci import rootfs

    assert facts.archive is not None
    with tempfile.TemporaryDirectory(prefix="modelyard-check-") as scratch:
        root = rootfs.unpack(folder / facts.archive, Path(scratch, "root"))
        port = _free_port()
        variables = rootfs.environment(root) | settings | {"MODELYARD_HOST": "127.0.0.1", "MODELYARD_PORT": str(port)}
        if "MODELYARD_GRPC_PORT" in variables:
            variables["MODELYARD_GRPC_PORT"] = "0"  # the image's own may be taken on this machine
        with log.open("ab") as output:
            process = subprocess.Popen(
                rootfs.start_command(root), env=variables, cwd=scratch, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield f"http://127.0.0.1:{port}", lambda: process.poll() is None, None
            _check_complete(root, process.pid)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            process.wait()
            shutil.rmtree(root.folder, ignore_errors=True)


def _check_complete(root: Rootfs, pid: int) -> None:
    """Refuse an image that ran only because this machine has a library that the image lacks."""
    from modelyard.oci.rootfs import foreign_libraries

    foreign = foreign_libraries(root, pid)
    if foreign:
        msg = f"check: the image's server uses files of this machine: {', '.join(foreign)}\n  add the packages that hold them to the image: [tool.modelyard.image] packages"
        raise StageFailed(msg)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, is_alive: Any, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not _is_ready(url):
        if not is_alive():
            msg = "check: the image's server ended before it was ready\n  its output is in the log"
            raise StageFailed(msg)
        if time.monotonic() > end:
            msg = f"check: the image's server is not ready after {timeout_s:g} s\n  allow more: [tool.modelyard.check] timeout_s"
            raise StageFailed(msg)
        time.sleep(_POLL_S)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
