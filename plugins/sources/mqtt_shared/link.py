"""One connection to a broker of MQTT 5, read and written by the event loop: it reads no more than there is room for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from modelyard.serving.events.source import Place

WAIT_S, CONNECT_S, CONFIRM_S = 1.0, 5.0, 5.0
ALIVE_S, BEAT_S, LEAVE_S = 15, 5, 1.0
"""How long a connection may be silent, how often that is looked after, and how long leaving may take, in seconds."""
AT_ONCE = 16
"""Messages that are read before others have a turn."""
FOR_EVER = 0xFFFFFFFF
NOBODY, TOO_LARGE, REFUSED = 0x10, 0x95, 0x80
_LINE = 64
"""Bytes that a packet, or one property of it, takes beside what it says, at most."""


class Link:
    """One connection.

    A broker may send more than it was told that there is room for. When as many messages wait here as may be held, no
    more is read until some are taken: the rest stays in the network's buffers, and then with the broker. Confirmations
    of what is published would wait behind them, which is why whoever takes messages publishes over another link.
    """

    def __init__(self, place: Place, *, client_id: str = "", stays: bool = True) -> None:
        """`stays`: the broker keeps its session when it has ended, under the client's id: the place's, if none is given."""
        self._place, self._stays = place, stays
        self._loop = asyncio.get_running_loop()
        self._messages: deque[Any] = deque()
        self._some = asyncio.Event()
        self._lost: str | None = None
        self._connected: asyncio.Future[Any] = self._loop.create_future()
        self._subscribed: asyncio.Future[Any] = self._loop.create_future()
        self._heard: asyncio.Future[Any] = self._loop.create_future()
        self._confirming: dict[int, asyncio.Future[Exception | None]] = {}
        self._largest = 0
        self._filters: tuple[str, ...] = ()
        self._reads = self._leaves = False
        self._beat: asyncio.TimerHandle | None = None
        options = {"client_id": client_id or place.client_id, "protocol": MQTTv5, "manual_ack": True}
        self.client = client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, **options)
        client.on_connect = lambda _, __, flags, code, told: _tell(self._connected, (flags, code, told))
        client.on_disconnect = lambda _, __, ___, code, ____: self._on_disconnect(
            f"{place.url}: the connection was lost: {code}"
        )
        client.on_subscribe = lambda _, __, ___, codes, ____: self._on_subscribe(codes)
        client.on_unsubscribe = lambda *_: _tell(self._heard, None)
        client.on_message = lambda _, __, message: self._on_message(message)
        client.on_publish = lambda _, __, mid, code, ___: self._on_publish(mid, code)
        client.on_socket_register_write = lambda *_: self._loop.call_soon_threadsafe(self._write)
        client.on_socket_close = lambda _, __, sock: self._forget(sock)

    async def connect(self) -> bool:
        """Connect; return whether the broker has the session of before.

        Raises:
            ConnectionError: nobody answers there, or does not let us in.
        """
        url, (username, password) = urlsplit(self._place.url), self._place.login()
        if password:
            self.client.username_pw_set(username or "", password)
        if url.scheme == "mqtts":
            self.client.tls_set_context(self._place.tls.context())
        wanted = Properties(PacketTypes.CONNECT)
        wanted.SessionExpiryInterval = FOR_EVER if self._stays else 0
        wanted.ReceiveMaximum = min(self._place.most, 65535)
        port = url.port or (8883 if url.scheme == "mqtts" else 1883)
        where = {"host": str(url.hostname), "port": port, "keepalive": ALIVE_S}
        try:
            await asyncio.to_thread(self.client.connect, **where, clean_start=not self._stays, properties=wanted)
        except (OSError, ValueError) as exc:
            raise _failure(exc) from exc
        self._read_on()
        self._look_after()
        flags, code, told = await self._answer(self._connected)
        if code.is_failure:
            raise ConnectionError(str(code))
        self._largest = getattr(told, "MaximumPacketSize", 0)
        return bool(flags.session_present)

    def subscribe(self, *filters: str) -> None:
        """Have the broker send what comes there; if it does not, the connection counts as lost."""
        self._filters = filters
        self.client.subscribe([(one, 1) for one in filters])

    async def subscribed(self) -> None:
        """Wait until the broker has said yes. In a session of before, it may first send more than is read.

        Raises:
            ConnectionError: it said no, or nothing.
        """
        await self._answer(self._subscribed)
        self.assert_there()

    async def received(self, most: int, wait_s: float = WAIT_S) -> list[Any]:
        """Return what has come, `most` messages at most; after `wait_s` seconds, nothing.

        Raises:
            ConnectionError: the connection was lost.
        """
        if not self._messages and self._lost is None:
            self._some.clear()
            try:
                await asyncio.wait_for(self._some.wait(), wait_s)
            except TimeoutError:
                return []
        self.assert_there()
        found = [self._messages.popleft() for _ in range(min(most, len(self._messages)))]
        if not self._is_full():
            self._read_on()
        return found

    def assert_there(self) -> None:
        """Raise ConnectionError if the connection was lost."""
        if self._lost is not None:
            raise ConnectionError(self._lost)

    def publish(self, topic: str, body: bytes, properties: Properties) -> asyncio.Future[Exception | None]:
        """Send a message; return what comes true when the broker has it, with what it has against it."""
        future: asyncio.Future[Exception | None] = self._loop.create_future()
        size = len(topic) + len(body) + len(properties.pack()) + _LINE
        if self._largest and size > self._largest:
            future.set_result(ValueError(f"larger than the broker takes, {self._largest} bytes"))
            return future
        info = self.client.publish(topic, body, qos=1, properties=properties)
        if info.rc or self._lost is not None:
            future.set_result(ConnectionError(self._lost or f"not sent, {info.rc!s}"))
            return future
        self._confirming[info.mid] = future
        self._loop.call_later(CONFIRM_S, _tell, future, ConnectionError("no confirmation of what was sent"))
        return future

    async def close(self) -> None:
        """Leave, once the broker has heard what was acknowledged; the session stays with it, and what nobody took."""
        self._leaves = True
        self._messages.clear()
        if self._lost is None and self.client.is_connected():
            self._read_on()  # a connection that is closed with something unread takes back what was sent last
            self._heard = self._loop.create_future()
            self._ping()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._heard, LEAVE_S)
        self.client.disconnect()
        self._write()
        self._on_disconnect(f"{self._place.url}: the connection is closed")

    # What the event loop does for the client.

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            there = len(self._messages)
            self.client.loop_read()
            if not self._reads or len(self._messages) == there:
                break
        self._read_decrypted()

    def _read_decrypted(self) -> None:
        """Read on where nothing more comes from the network, which would say so: what has come is decrypted already."""
        sock = self.client.socket()
        if self._reads and sock is not None and hasattr(sock, "pending") and sock.pending():
            self._loop.call_soon(self._read_if_on)

    def _read_if_on(self) -> None:
        if self._reads:
            self._read()

    def _write(self) -> None:
        self.client.loop_write()
        sock = self.client.socket()
        if sock is not None:
            if self.client.want_write():
                self._loop.add_writer(sock, self._write)
            else:
                self._loop.remove_writer(sock)

    def _look_after(self) -> None:
        """Say that this is here, and find out whether the broker is; while nothing is read, its answer would not be seen."""
        self._beat = self._loop.call_later(BEAT_S, self._look_after)
        if self._reads:
            self.client.loop_misc()
        else:
            self._ping()

    def _ping(self) -> None:
        """Ask for something that changes nothing: this has no such subscription."""
        self.client.unsubscribe(self._place.dead_letter)

    def _is_full(self) -> bool:
        return len(self._messages) > self._place.most

    def _read_on(self) -> None:
        sock = self.client.socket()
        if not self._reads and sock is not None:
            self._reads = True
            self._loop.add_reader(sock, self._read)
            self._read_decrypted()

    def _read_no_more(self) -> None:
        sock = self.client.socket()
        if self._reads and sock is not None:
            self._reads = False
            self._loop.remove_reader(sock)

    def _forget(self, sock: Any) -> None:
        self._reads = False
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    async def _answer(self, future: asyncio.Future[Any]) -> Any:
        try:
            return await asyncio.wait_for(future, CONNECT_S)
        except TimeoutError:
            msg = f"{self._place.url}: no answer"
            raise ConnectionError(msg) from None

    # What the broker says.

    def _on_disconnect(self, reason: str) -> None:
        if self._beat is not None:
            self._beat.cancel()
        self._lost = self._lost or reason
        for waiting in (self._connected, self._subscribed):
            if not waiting.done():
                waiting.set_exception(ConnectionError(self._lost))
                waiting.exception()  # whether somebody waits for it or not
        _tell(self._heard, None)
        for future in self._confirming.values():
            _tell(future, ConnectionError(self._lost))
        self._some.set()

    def _on_subscribe(self, codes: Any) -> None:
        for topic_filter, code in zip(self._filters, codes, strict=True):
            if code.is_failure:
                self._on_disconnect(f"{topic_filter!r}: {code}")
        _tell(self._subscribed, None)

    def _on_message(self, message: Any) -> None:
        if self._leaves:
            return
        self._messages.append(message)
        self._some.set()
        if self._is_full():
            self._read_no_more()

    def _on_publish(self, mid: int, code: Any) -> None:
        future = self._confirming.pop(mid, None)
        if future is not None:
            _tell(future, _problem(code))


def _problem(code: Any) -> Exception | None:
    """Return what the broker has against a message."""
    if code.value == NOBODY:
        return ConnectionError("nobody has subscribed to where it goes: the broker would drop it")
    if code.value < REFUSED:
        return None
    return ValueError("larger than the broker takes") if code.value == TOO_LARGE else ConnectionError(str(code))


def _tell(future: asyncio.Future[Any], what: Any) -> None:
    if not future.done():
        future.set_result(what)


def _failure(exc: BaseException) -> ConnectionError:
    return ConnectionError(" ".join(str(exc).split()) or type(exc).__name__)
