"""What all brokers of the tests have in common."""

from __future__ import annotations

import abc
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from tests.standins.tls import free_port

T = TypeVar("T")


def event_headers(number: int, key: str | None = None) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": str(number),
        "ce-source": "/camera",
        "ce-type": "picture",
        **({} if key is None else {"ce-partitionkey": key}),
        "content-type": "application/octet-stream",
    }


def key_of(keys: Sequence[str] | None, place: int) -> str | None:
    """Return the key of the event at a place: each of `keys` has its turn."""
    return keys[place % len(keys)] if keys else None


@dataclass
class Message:
    """What a stream holds."""

    headers: dict[str, str]
    data: bytes

    @property
    def cause(self) -> str:
        return self.headers.get("ce-causationid") or self.headers["ce-id"]


def wait_until(done: Callable[[], T | None], timeout_s: int = 60, told: Callable[[], object] = lambda: None) -> T:
    """Return what `done` returns, once that is true."""
    end = time.monotonic() + timeout_s
    while not (found := done()):
        assert time.monotonic() < end, told()
        time.sleep(0.03)
    return found


class Broker(abc.ABC):
    """A program that listens on a free port. `input`, `output` and `dead` are the streams of the test that runs."""

    process: subprocess.Popen[bytes]
    program = module = client = ""
    user, password = "ann", "s3cret"
    makes_streams = False
    """Whether there is a stream as soon as it is named."""
    counts = True
    """Whether it says how often it handed an event out."""
    kills = 3
    """How often it is killed and started again, where a test does that."""
    server_kills = 4
    """How often a server of it is killed, unless the run is a long one."""
    made_s = 0.0
    """How long it may take until what was made outlives a kill, in seconds."""
    kept_s = 0.0
    """How long it may take until what was sent does."""
    has_passwords = True
    refuses = True
    """Whether it can be had to refuse answers, and to take them later."""
    sets_up = True
    """Whether it makes a stream when it is asked to, and not only when one is named."""
    hears_to_the_end = True
    """Whether it takes acknowledgements until another has what they are about."""
    takes_over = True
    """Whether a member of the group gets what comes after another has left it."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        """Make ready; with the folder of a certificate it speaks TLS alone, and asks for a password."""
        if shutil.which(self.program) is None:
            missing = pytest.fail if os.environ.get("MODELYARD_REQUIRE_SERVICES") else pytest.skip
            missing(f"needs the program {self.program}")
        pytest.importorskip(self.module)
        self.port = free_port()
        self.folder, self.certificate = folder, certificate
        folder.mkdir()

    @property
    @abc.abstractmethod
    def url(self) -> str: ...

    @abc.abstractmethod
    def command(self) -> Sequence[object]:
        """Return what starts it."""

    @abc.abstractmethod
    def send(self, bodies: Sequence[bytes], first: int = 0, keys: Sequence[str] | None = None) -> None:
        """Send events to `input`, with the numbers from `first` on as their ids, and each of `keys` in turn."""

    @abc.abstractmethod
    def allow_output(self) -> None:
        """Have `output` be there, where it was not made."""

    @abc.abstractmethod
    def read(self, name: str) -> list[Message]:
        """Return what a stream holds."""

    @abc.abstractmethod
    def count(self, name: str) -> int:
        """Return how much that is."""

    @abc.abstractmethod
    def waiting(self) -> int:
        """Return how many events are not acknowledged."""

    def start(self) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in self.command()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | self.environment(),
            start_new_session=True,
        )
        wait_until(self.listens, 120)

    def environment(self) -> dict[str, str]:
        return {}

    def listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def interrupt(self) -> None:
        """Have it be away until `start`."""
        self.kill()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def trusted(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.certificate / "tls.crt") if self.certificate else None

    def begin(self, name: str) -> None:
        """Have streams of the test `name`."""
        self.input, self.output, self.dead, self.group = (
            f"{name}-in",
            f"{name}-out",
            f"{name}-in.dead",
            f"{name}-digits",
        )

    @abc.abstractmethod
    def make(self, *, with_output: bool = True, members: Sequence[str] = ()) -> None:
        """Have the streams be there, and the sessions of those `members` that share the work."""

    def end(self) -> None:  # noqa: B027 - most have nothing to leave
        """Leave what was there for this test alone."""

    @property
    def settings(self) -> dict[str, str]:
        return {"EVENTS_CLIENT": self.client, "EVENTS_URL": self.url}

    @property
    def places(self) -> dict[str, str]:
        return {"EVENTS_INPUT": self.input, "EVENTS_OUTPUT": self.output, "EVENTS_GROUP": self.group}

    def collect(self, stream: str, count: int, timeout_s: int = 180) -> list[Message]:
        """Return what is on `stream`, once it holds `count` different causes."""

        def found() -> list[Message] | None:
            if self.count(stream) >= count:
                messages = self.read(stream)
                return messages if len({one.cause for one in messages}) >= count else None
            return None

        return wait_until(found, timeout_s, lambda: self.count(stream))

    def answered(self, least: int = 0) -> int:
        """Return how many answers and dead letters there are, once these are `least`."""
        # a broker may take its time to start, and then a server has waited for longer and longer
        end = time.monotonic() + 180
        while (found := self.count(self.output) + self.count(self.dead)) < least:
            assert time.monotonic() < end, found
            time.sleep(0.005)
        return found

    def settled(self, timeout_s: int = 10) -> None:
        """Wait until every event is acknowledged; the server has stopped."""
        wait_until(lambda: not self.waiting(), timeout_s, self.waiting)
