"""How the broker of a source is started for the check of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class BrokerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker of a source is to be started with, for a check of an image: for loopback alone, with TLS and a password.

    Attributes:
        folder: an empty folder for what it writes.
        port: the port to listen on, of 127.0.0.1.
        other_ports: two more that are free, for a broker that cannot do without.
        certificate: its certificate, PEM, which is its own authority, too.
        key: the private key, PEM.
        username: the only user.
        password: the user's password.
        settings: the values of the source's own parameters, by name, as the project sets them.
    """

    folder: Path
    port: int
    other_ports: tuple[int, int]
    certificate: Path
    key: Path
    username: str
    password: str
    settings: dict[str, Any] = {}


class BrokerCommand(msgspec.Struct, frozen=True):
    """How a broker is started.

    Attributes:
        url: its address, for the server.
        words: the program and its arguments; it runs until it is ended.
        files: the texts of files that it reads, by their names in the place's folder.
        environment: further variables of its process.
        programs: what it cannot run without, beside the first of its words.
        lacks: what the project asks for and it cannot do, for a person to read; None: nothing.
    """

    url: str
    words: tuple[str, ...]
    files: dict[str, str] = {}
    environment: dict[str, str] = {}
    programs: tuple[str, ...] = ()
    lacks: str | None = None
