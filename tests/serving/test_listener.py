"""Sockets that clients connect to: whose address it is, and who is let in."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.serving import listener as listener_module
from modelyard.serving.certificate import Certificate
from modelyard.serving.errors import StartError
from modelyard.serving.gate import Allowance, Gate
from modelyard.serving.listener import Acceptor, Listeners, _forget, begin, listen
from modelyard.serving.mounted import Mounted
from modelyard.serving.settings import Settings


def test_a_port_that_another_takes_meanwhile_is_said_too() -> None:
    with listen("127.0.0.1", 0) as mine:
        port = mine.getsockname()[1]
        with listen("127.0.0.1", port) as other:
            other.listen()

            with pytest.raises(StartError, match=f"127.0.0.1:{port}: cannot listen: Address already in use"):
                begin(mine)


def test_ipv6_is_listened_on() -> None:
    try:
        with listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except StartError as exc:
        pytest.skip(f"no IPv6 here: {exc}")


def test_clients_are_refused_until_it_begins() -> None:
    with listen("127.0.0.1", 0) as one:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(one.getsockname(), timeout=5)

        begin(one)

        socket.create_connection(one.getsockname(), timeout=5).close()
        assert one.accept()


@pytest.mark.parametrize("host", ["192.0.2.1", "::zz"])
def test_an_address_that_is_not_ours_is_said_of_the_host(host: str) -> None:
    with pytest.raises(StartError, match=f"^{host}:0: cannot listen: .*; set MODELYARD_HOST to another$"):
        listen(host, 0)


def test_a_port_that_is_taken_is_said_of_the_setting_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            StartError, match=f"^127.0.0.1:{port}: cannot listen: .*; set MODELYARD_GRPC_PORT to another$"
        ):
            listen("127.0.0.1", port, "MODELYARD_GRPC_PORT")


def test_grpc_has_a_socket_of_its_own_if_it_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hpack", reason="hpack is not installed")
    alone = Listeners.of(Settings(host="127.0.0.1", port=0))
    both = Listeners.of(Settings(host="127.0.0.1", port=0, grpc_port=0))

    assert (alone.every(), both.every()) == ([alone.http], [both.http, both.grpc])
    alone.close()
    both.close()
    assert [one.fileno() for one in (*alone.every(), *both.every())] == [-1, -1, -1]
    monkeypatch.setitem(sys.modules, "hpack", None)  # as if it were not installed
    with pytest.raises(StartError, match=r"^MODELYARD_GRPC_PORT: gRPC needs the package 'hpack', which is not here"):
        Listeners.of(Settings(host="127.0.0.1", port=0, grpc_port=0))
    Listeners.of(Settings(host="127.0.0.1", port=0)).close()


class Connected(asyncio.Protocol):
    """A connection that says hello."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self.gate.enter(self)
        self.gate.wait(self, 0.0)
        transport.write(b"hello")

    def connection_lost(self, exc: Exception | None) -> None:
        self.gate.leave(self)

    def drop(self) -> None:
        self.transport.abort()

    overdue = leave = drop


class Accepting:
    """A socket that takes connections, asked by clients in the loop that runs."""

    def __init__(
        self,
        certificate: Certificate | None = None,
        leave_to_others: Callable[[int], bool] = lambda _: False,
        connections: int = 100,
    ) -> None:
        self.gate = Gate(Allowance(connections, 1000, 1000, 1.0, 1.0, 1.0), lambda *_: None)
        self.listener = listen("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        begin(self.listener)
        mounted = Mounted[Certificate | None]((), lambda: certificate)
        self.acceptor = Acceptor(self.listener, lambda: Connected(self.gate), self.gate, mounted, leave_to_others)

    async def hello(self, tls: ssl.SSLContext | None = None) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
        said = await reader.read(5)
        writer.close()
        return said

    async def close(self) -> None:
        self.acceptor.close()
        for one in list(self.gate.open):
            one.drop()
        await asyncio.sleep(0.01)


def test_connections_are_taken_until_it_is_closed() -> None:
    async def main() -> list[bytes]:
        one = Accepting()
        said = list(await asyncio.gather(*(one.hello() for _ in range(2 * listener_module.AT_ONCE))))
        number = one.listener.fileno()
        await one.close()
        with pytest.raises(ConnectionRefusedError):
            await one.hello()
        assert not asyncio.get_running_loop().remove_reader(number), "another file may have that number now"
        return said

    assert asyncio.run(main()) == [b"hello"] * 2 * listener_module.AT_ONCE


def test_who_has_more_than_others_leaves_each_connection_to_them_for_a_moment_and_takes_it_then() -> None:
    asked: list[int] = []

    def others_have_fewer(connections: int) -> bool:
        asked.append(connections)
        return True

    async def main() -> list[bytes]:
        one = Accepting(leave_to_others=others_have_fewer)
        said = [await one.hello() for _ in range(3)]
        await one.close()
        return said

    assert asyncio.run(main()) == [b"hello"] * 3
    assert len(asked) >= 3


def test_where_files_have_run_out_the_slowest_is_closed_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener_module, "AGAIN_S", 0.005)

    async def main() -> tuple[bytes, bytes]:
        one = Accepting()
        loop, limits = asyncio.get_running_loop(), resource.getrlimit(resource.RLIMIT_NOFILE)
        slow, _ = await asyncio.open_connection("127.0.0.1", one.port)
        await slow.readexactly(5)
        late = socket.socket()
        late.setblocking(False)
        lowest = os.dup(late.fileno())
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
        try:
            await loop.sock_connect(late, ("127.0.0.1", one.port))
            while not caplog.records:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.03)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        with late:
            told = await slow.read(5), await loop.sock_recv(late, 5)
        await one.close()
        return told

    assert asyncio.run(asyncio.wait_for(main(), 20)) == (b"", b"hello")
    assert [record.getMessage() for record in caplog.records] == ["cannot accept"], "once"


def test_who_is_slow_to_shake_hands_makes_room_for_another(certificate: Path) -> None:
    pair = Certificate.read(certificate / "tls.crt", certificate / "tls.key")
    trust = ssl.create_default_context(cafile=str(certificate / "tls.crt"))

    async def main() -> tuple[bytes, bytes]:
        one = Accepting(pair, connections=1)
        silent, writer = await asyncio.open_connection("127.0.0.1", one.port)
        await asyncio.sleep(0.01)
        said = await one.hello(trust), await silent.read(5)
        writer.close()
        await one.close()
        return said

    assert asyncio.run(asyncio.wait_for(main(), 20)) == (b"hello", b"")


def test_an_error_that_is_forgotten_holds_no_frames() -> None:
    try:
        try:
            int("x")
        except ValueError:
            open("/no/such")  # noqa: SIM115 - it is not there
    except OSError as exc:
        error = exc

    _forget(error)

    assert isinstance(error.__context__, ValueError)
    assert error.__traceback__ is error.__context__.__traceback__ is None
