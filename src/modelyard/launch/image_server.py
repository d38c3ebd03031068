"""Start the server of an image as it ships: in a container where an engine runs, else from the image's own files."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import ImageFacts
from modelyard.errors import StageFailed, ToolError
from modelyard.launch import ready
from modelyard.launch.container import find_engine, in_container
from modelyard.launch.image_files import from_files
from modelyard.launch.started import Beside
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
        end: sends it a signal, waits for its end, and returns its exit code.
        username: the user name that it asks for; empty: it asks for none.
        password: the password that it asks for.
        stats: gives what the engine says of its container; None: it runs in none.
    """

    url: str
    how: str
    end: Callable[[int], int]
    username: str = ""
    password: str = ""
    stats: Callable[[], Mapping[str, Any]] | None = None


@contextlib.contextmanager
def running(
    folder: Path, facts: ImageFacts, timeout_s: float, log: Path, beside: Beside | None = None
) -> Iterator[Server]:
    """Start the image in `folder`, wait until it is ready, and stop it at the end; with `beside`, on this machine's loopback.

    A server that can ask for a user name and a password is given new ones.

    Raises:
        StageFailed: the server ended, or is not ready after `timeout_s` seconds.
        ToolError: the image lives in an engine, or its server runs in one only, and none answers.
    """
    engine = find_engine()
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
    if engine:
        starting = in_container(engine, folder, facts, settings, log, beside)
    else:
        starting = from_files(folder, facts, settings, log, beside)
    with starting as started:
        _wait(f"{started.url}{facts.server.ready}", started.is_alive, timeout_s)
        yield Server(started.url, started.how, started.end, *login, stats=started.stats)


def unpacked(folder: Path, facts: ImageFacts, place: Path) -> Rootfs | None:
    """Unpack the image to `place`, for servers that are started one after the other; None: an engine runs them."""
    if find_engine() is not None or facts.archive is None:
        return None
    from modelyard.oci import rootfs

    return rootfs.unpack(folder / facts.archive, place)


def _settings(username: str, password: str) -> dict[str, str]:
    # nobody else asks this server, so that it need not drain
    return {"MODELYARD_USERNAME": username, "MODELYARD_PASSWORD": password, "MODELYARD_DRAIN_S": "0"}


def _wait(url: str, is_alive: Callable[[], bool], timeout_s: float) -> None:
    if ready.wait(url, is_alive, timeout_s, _POLL_S):
        return
    msg = (
        f"check: the image's server is not ready after {timeout_s:g} s\n  allow more: [tool.modelyard.check] timeout_s"
        if is_alive()
        else "check: the image's server ended before it was ready\n  its output is in the log"
    )
    raise StageFailed(msg)
