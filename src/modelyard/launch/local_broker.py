"""A broker of events that is started for a check: on loopback, with TLS and a password, and ended after it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.contexts import BrokerPlace
from modelyard.errors import StageFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelyard.component import Use
    from modelyard.contexts import BrokerCommand

_START_S, _POLL_S = 60, 0.05
_CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
    *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
)


@dataclass(frozen=True)
class LocalBroker:
    """A broker that runs.

    Attributes:
        url: its address.
        files: the folder with `username`, `password` and `ca.crt`, which anybody on this machine may read who finds it.
    """

    url: str
    files: Path

    def settings(self, password: str = "password") -> dict[str, str]:
        """Return the variables of a server that takes events from it, with the password in the file `password`."""
        return {
            "MODELYARD_EVENTS_URL": self.url,
            "MODELYARD_EVENTS_USERNAME_FILE": str(self.files / "username"),
            "MODELYARD_EVENTS_PASSWORD_FILE": str(self.files / password),
            "MODELYARD_EVENTS_CA_FILE": str(self.files / "ca.crt"),
        }


def lack(source: Use) -> str | None:
    """Return why the broker of `source` cannot be started here, or does not do what the project asks for; None: it can."""
    if source.component.broker is None:
        return f"the source {source.component.name!r} does not say how its broker is started"
    command = _command(source, Path("/"), 1, "")
    programs = (command.words[0], *command.programs, "openssl")
    missing = [word for word in programs if shutil.which(word) is None]
    return f"{' and '.join(missing)} not found on PATH" if missing else command.lacks


@contextlib.contextmanager
def started(source: Use, scratch: Path, log: Path) -> Iterator[LocalBroker]:
    """Start the broker of `source`, wait until it listens, and end it after the block.

    Args:
        source: the source, whose broker can be started here.
        scratch: an empty folder.
        log: the file that what the broker prints is added to.

    Raises:
        StageFailed: it ended, or does not listen.
    """
    files, data = scratch / "files", scratch / "broker"
    for folder in (files, data):
        folder.mkdir()
    password = secrets.token_urlsafe(24)
    words = {"username": "check", "password": password, "wrong": secrets.token_urlsafe(24)}
    for name, text in words.items():
        (files / name).write_text(text, encoding="ascii")
    keys = ("-keyout", str(scratch / "tls.key"), "-out", str(files / "ca.crt"))
    subprocess.run([*_CERTIFICATE, *keys], check=True, capture_output=True)
    port = free_port()
    command = _command(source, scratch, port, password)
    for name, text in command.files.items():
        (data / name).write_text(text, encoding="utf-8")
    variables = {**os.environ, **command.environment}
    with log.open("ab") as output:
        told: dict[str, Any] = {"stdout": output, "stderr": subprocess.STDOUT, "cwd": data, "env": variables}
        process = subprocess.Popen(command.words, **told, start_new_session=True)
    try:
        _wait(port, process, command.words[0])
        yield LocalBroker(command.url, files)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
        process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(source: Use, scratch: Path, port: int, password: str) -> BrokerCommand:
    assert source.component.broker is not None
    place = BrokerPlace(
        folder=scratch / "broker",
        port=port,
        other_ports=(free_port(), free_port()),
        certificate=scratch / "files" / "ca.crt",
        key=scratch / "tls.key",
        username="check",
        password=password,
        settings=source.params,
    )
    command: BrokerCommand = source.component.broker(place)
    return command


def _wait(port: int, process: subprocess.Popen[bytes], program: str) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is None and time.monotonic() < end:
                time.sleep(_POLL_S)
                continue
        else:
            return
        msg = f"check: the broker {program} did not start\n  its output is in the log; to go on without: [tool.modelyard.check] events = false"
        raise StageFailed(msg)
