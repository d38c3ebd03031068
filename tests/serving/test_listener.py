"""Sockets that clients connect to: whose address it is, and who is let in."""

from __future__ import annotations

import socket

import pytest

from modelyard.serving import listener as listener_module
from modelyard.serving.errors import StartError


def test_a_port_that_another_takes_meanwhile_is_said_too() -> None:
    with listener_module.listen("127.0.0.1", 0) as mine:
        port = mine.getsockname()[1]
        with listener_module.listen("127.0.0.1", port) as other:
            other.listen()

            with pytest.raises(StartError, match=f"127.0.0.1:{port}: cannot listen: Address already in use"):
                listener_module.begin(mine)


def test_ipv6_is_listened_on() -> None:
    try:
        with listener_module.listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except StartError as exc:
        pytest.skip(f"no IPv6 here: {exc}")
