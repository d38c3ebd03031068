"""HTTP/2 itself, frame by frame: what a stranger may do to a connection, and what an unusual client may expect of one."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Running
from tests.serving.servers import wait_until

hpack = pytest.importorskip("hpack", reason="hpack is not installed")

from modelyard.serving.grpc import frames, wire  # noqa: E402 - it needs hpack
from modelyard.serving.grpc.frames import Code, Reason  # noqa: E402

READY = "/inference.GRPCInferenceService/ServerReady"
INFER = "/inference.GRPCInferenceService/ModelInfer"
SIZES = {"BODY_S": "1", "HEADER_S": "1", "MEMORY_BYTES": "1", "IDLE_S": "1"}


@pytest.fixture(scope="module")
def server(start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path) -> Iterator[Any]:
    """A server with little time and little memory: 16 MiB are free, of which 2.4 MiB are for messages."""
    with start(models / "float32", GRPC_PORT="0", MAX_BATCH="32", **SIZES) as running:
        yield running


class Client:
    """Speaks HTTP/2 as a test says."""

    def __init__(self, server: Any, *, greet: bool = True, settings: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20)
        self.encoder, self.decoder, self.buffer = hpack.Encoder(), hpack.Decoder(), b""
        if greet:
            self.send(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0, settings))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.socket.close()

    def send(self, *data: Any) -> None:
        self.socket.sendall(b"".join(data))

    def headers(self, stream: Any, path: str = READY, *, flags: Any = frames.END_HEADERS, **changes: Any) -> Any:
        fields = {":method": "POST", ":path": path, ":scheme": "http", "content-type": "application/grpc"} | changes
        return frames.frame(frames.HEADERS, flags, stream, self.encoder.encode(list(fields.items())))

    def frames(self) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield what comes until the server closes: type, flags, stream, payload."""
        while True:
            while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
                try:
                    piece = self.socket.recv(65536)
                except ConnectionResetError:
                    return
                if not piece:
                    return
                self.buffer += piece
            size = int.from_bytes(self.buffer[:3], "big")
            head, payload, self.buffer = self.buffer[:9], self.buffer[9 : 9 + size], self.buffer[9 + size :]
            yield head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def answer(self, stream: Any) -> tuple[Any, Any]:
        """Return the fields of an answer and its bytes; all headers that come are read, as HPACK wants it."""
        fields: dict[str, str] = {}
        data = b""
        for kind, flags, number, payload in self.frames():
            if kind == frames.GOAWAY:
                assert struct.unpack(">LL", payload[:8])[1] == Reason.NO_ERROR, payload
            if kind == frames.HEADERS:
                found = dict(self.decoder.decode(payload))
                fields |= found if number == stream else {}
            if kind == frames.DATA and number == stream:
                data += payload
            if number == stream and flags & frames.END_STREAM:
                return fields, data
        msg = "the server closed"
        raise AssertionError(msg)

    def end(self) -> Any:
        """Return why the server says that it closes, or None if it does so without a word."""
        reasons = [struct.unpack(">LL", one[3][:8])[1] for one in self.frames() if one[0] == frames.GOAWAY]
        return Reason(reasons[-1]) if reasons else None


def data(stream: Any, message: bytes = b"", *, end: bool = True, flags: int = 0) -> Any:
    payload = b"\0" + len(message).to_bytes(4, "big") + message
    return frames.frame(frames.DATA, flags | (frames.END_STREAM if end else 0), stream, payload)


def inference(samples: int = 1) -> Any:
    said = wire.text(1, "input") + wire.text(2, "UINT8") + wire.whole_numbers(3, [samples, 8, 8, 1])
    return wire.text(1, "digits") + wire.blob(5, said) + wire.blob(7, b"\3" * 64 * samples)


def status(fields: Any) -> Code:
    return Code(int(fields["grpc-status"]))


# What an unusual client may expect


def test_a_message_in_padded_frames_of_a_byte_with_headers_in_pieces_and_pings_between(server: Any) -> None:
    with Client(server) as client:
        head = client.headers(1, INFER)[9:]
        client.send(frames.frame(frames.HEADERS, 0, 1, head[:3]))
        client.send(frames.frame(frames.CONTINUATION, 0, 1, head[3:5]))
        client.send(frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, head[5:]))
        client.send(frames.frame(frames.PRIORITY, 0, 3, b"\0\0\0\0\1"), frames.frame(0xEE, 0xFF, 0, b"unknown"))
        for byte in data(1, inference())[9:]:
            client.send(frames.frame(frames.DATA, frames.PADDED, 1, bytes((2, byte, 0, 0))))
        client.send(frames.frame(frames.PING, 0, 0, b"12345678"))
        client.send(frames.frame(frames.DATA, frames.END_STREAM, 1))
        kinds = []
        for kind, flags, _, payload in client.frames():
            kinds.append(kind)
            if kind == frames.PING:
                assert (flags, payload) == (frames.ACK, b"12345678")
            if kind == frames.HEADERS and flags & frames.END_STREAM:
                break
        assert {frames.SETTINGS, frames.PING, frames.DATA} <= set(kinds)


def test_an_answer_goes_as_the_window_opens(server: Any) -> None:
    settings = struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 7)
    with Client(server, settings=settings) as client:
        client.send(client.headers(1, INFER), data(1, inference()))
        client.send(client.headers(3), data(3))
        whole, sizes = b"", []
        for kind, flags, number, payload in client.frames():
            if kind == frames.DATA and number == 1:
                whole += payload
                sizes.append(len(payload))
                client.send(frames.window_update(1, 7))
            if kind == frames.HEADERS and number == 1 and flags & frames.END_STREAM:
                break
        assert max(sizes) == 7
        assert len(whole) == 5 + int.from_bytes(whole[1:5], "big")
        assert wire.Message(whole[5:]).text(1) == "digits"


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({":method": "GET"}, "405"),
        ({"content-type": "text/html"}, "415"),
        ({"content-type": "application/grpc+proto"}, "200"),
    ],
)
def test_what_is_no_call_gets_a_status_of_http(server: Any, changes: dict[str, str], answer: str) -> None:
    with Client(server) as client:
        client.send(client.headers(1, **changes), data(1))
        assert client.answer(1)[0][":status"] == answer


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (data(1)[:-1] + b"\5", "cut short"),
        (frames.frame(frames.DATA, frames.END_STREAM, 1), "no message came"),
        (frames.frame(frames.DATA, frames.END_STREAM, 1, b"\0\0\0\0\0" * 2), "more than one message"),
        (frames.frame(frames.DATA, frames.END_STREAM, 1, b"\1\0\0\0\0"), "'grpc-encoding' does not say how"),
    ],
)
def test_a_message_that_is_none(server: Any, message: Any, words: str) -> None:
    with Client(server) as client:
        client.send(client.headers(1), message)
        fields, _ = client.answer(1)
        assert (status(fields), words in fields["grpc-message"]) == (Code.INVALID_ARGUMENT, True), fields


@pytest.mark.parametrize(("encoding", "code"), [("br", Code.UNIMPLEMENTED), ("gzip", Code.INVALID_ARGUMENT)])
def test_a_compressed_message_that_is_none(server: Any, encoding: str, code: Any) -> None:
    with Client(server) as client:
        client.send(client.headers(1, INFER, **{"grpc-encoding": encoding}))
        client.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b"\1\0\0\0\4abcd"))
        assert status(client.answer(1)[0]) == code


def test_a_deadline_ends_a_call_whose_message_does_not_come(server: Any) -> None:
    with Client(server) as client:
        begin = time.monotonic()
        client.send(client.headers(1, **{"grpc-timeout": "200m"}), client.headers(3, **{"grpc-timeout": "soon"}))
        fields, _ = client.answer(3)
        assert (status(fields), "'grpc-timeout' is 'soon'" in fields["grpc-message"]) == (Code.INVALID_ARGUMENT, True)
        late, _ = client.answer(1)
        assert (status(late), "took too long to come" in late["grpc-message"]) == (Code.DEADLINE_EXCEEDED, False)
        assert time.monotonic() - begin > 0.15


def test_http_1_is_told_where_it_is_spoken(server: Any) -> None:
    with Client(server, greet=False) as client:
        client.send(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while piece := client.socket.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"this port speaks gRPC" in answer


# What a stranger may not do


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (frames.frame(frames.DATA, 0, 1, b"x"), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.END_HEADERS, 2, b"\x88"), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff"), Reason.COMPRESSION_ERROR),
        (frames.frame(frames.HEADERS, frames.END_HEADERS | frames.PADDED, 1, b"\x09\x88"), Reason.PROTOCOL_ERROR),
        (
            frames.frame(frames.HEADERS, 0, 1, b"\x88") + frames.frame(frames.PING, 0, 0, b"x" * 8),
            Reason.PROTOCOL_ERROR,
        ),
        (frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x88"), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 0, 1, b"\0" * 8), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.PING, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.PING, 0, 1, b"x" * 8), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, 0, 1), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, frames.ACK, 0, b"\0" * 6), Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.GOAWAY, 0, 0, b"short"), Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.PRIORITY, 0, 1, b"shor"), Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.PRIORITY, 0, 0, b"short"), Reason.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.END_HEADERS | frames.HAS_PRIORITY, 1, b"\x83"), Reason.FRAME_SIZE_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 2}), Reason.PROTOCOL_ERROR),
        (b"\xff\xff\xff\0\0\0\0\0\1", Reason.FRAME_SIZE_ERROR),
        (frames.frame(frames.RST_STREAM, 0, 9, b"\0" * 4), Reason.PROTOCOL_ERROR),
        (frames.window_update(0, 0), Reason.PROTOCOL_ERROR),
        (frames.window_update(0, frames.LARGEST_WINDOW), Reason.FLOW_CONTROL_ERROR),
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}), Reason.FLOW_CONTROL_ERROR),
        (frames.settings({frames.MAX_FRAME_SIZE: 1}), Reason.PROTOCOL_ERROR),
        # Headers that do not end, and those that grow where they are read.
        (
            frames.frame(frames.HEADERS, 0, 1) + frames.frame(frames.CONTINUATION, 0, 1, b"x" * 9000) * 2,
            Reason.ENHANCE_YOUR_CALM,
        ),
        (
            frames.frame(
                frames.HEADERS, frames.END_HEADERS, 1, b"\x40\x01a\x7f\xe1\x17" + b"x" * 3152 + b"\xbe" * 9000
            ),
            Reason.ENHANCE_YOUR_CALM,
        ),
    ],
)
def test_what_is_no_http_2_ends_the_connection_with_the_reason(server: Any, sent: Any, reason: Any) -> None:
    with Client(server) as client:
        client.send(sent)
        assert client.end() == reason


@pytest.mark.parametrize("sent", [b"", frames.frame(frames.SETTINGS, frames.ACK, 0)])
def test_a_client_that_does_not_say_its_settings_first_is_told_so(server: Any, sent: bytes) -> None:
    with Client(server, greet=False) as client:
        client.send(frames.PREFACE, sent, client.headers(1), data(1))
        assert client.end() == Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (lambda client: client.headers(3), Reason.PROTOCOL_ERROR),
        (lambda client: client.headers(3, flags=frames.END_HEADERS | frames.END_STREAM), Reason.PROTOCOL_ERROR),
        (lambda client: client.headers(5), Reason.PROTOCOL_ERROR),
        (lambda client: client.headers(5, flags=frames.END_HEADERS | frames.END_STREAM), Reason.PROTOCOL_ERROR),
        (lambda _: frames.frame(frames.HEADERS, frames.END_HEADERS, 5, b"\0\1a\1b"), Reason.PROTOCOL_ERROR),
        (lambda client: data(5) + client.headers(5), Reason.STREAM_CLOSED),
        (lambda _: data(5) + data(5), Reason.STREAM_CLOSED),
        (lambda _: frames.frame(frames.DATA, 0, 4), Reason.PROTOCOL_ERROR),
        (lambda _: frames.window_update(4, 1), Reason.PROTOCOL_ERROR),
        (lambda _: frames.reset(4, Reason.CANCEL), Reason.PROTOCOL_ERROR),
        (lambda _: frames.window_update(5, 0), Reason.PROTOCOL_ERROR),
        (
            lambda _: frames.window_update(5, frames.LARGEST_WINDOW) + frames.window_update(5, 1),
            Reason.FLOW_CONTROL_ERROR,
        ),
    ],
)
def test_what_cannot_stand_beside_a_call_ends_the_connection(server: Any, sent: Any, reason: Any) -> None:
    settings = struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 0)  # nothing of an answer goes
    with Client(server, settings=settings) as client:
        client.send(client.headers(5), sent(client))
        assert client.end() == reason


def test_what_comes_late_to_a_call_that_is_answered_is_passed_over(server: Any) -> None:
    with Client(server) as client:
        client.send(client.headers(1, **{"grpc-timeout": "soon"}))  # answered before its message has come
        assert status(client.answer(1)[0]) == Code.INVALID_ARGUMENT
        behind = frames.END_HEADERS | frames.END_STREAM
        client.send(data(1, end=False), frames.window_update(1, 5), frames.frame(frames.PRIORITY, 0, 1, b"short"))
        client.send(frames.frame(frames.HEADERS, behind, 1, b"\0\1a\1b"), frames.reset(1, Reason.CANCEL))
        client.send(client.headers(3), data(3))
        assert status(client.answer(3)[0]) == Code.OK


def test_calls_that_are_begun_and_dropped_end_the_connection(server: Any) -> None:
    with Client(server) as client:
        many = [client.headers(1 + 2 * one, INFER) + frames.reset(1 + 2 * one, Reason.CANCEL) for one in range(1200)]
        client.send(*many)
        assert client.end() == Reason.ENHANCE_YOUR_CALM


def test_one_call_too_many_on_a_connection_may_be_tried_again(server: Any) -> None:
    with Client(server) as client:
        client.send(*(client.headers(1 + 2 * one) for one in range(101)))
        refused = next(one for one in client.frames() if one[0] == frames.RST_STREAM)
        assert refused[2:] == (201, struct.pack(">L", Reason.REFUSED_STREAM))
        client.send(data(1))
        assert status(client.answer(1)[0]) == Code.OK


def test_a_message_that_does_not_come_is_refused_and_the_connection_stays(server: Any) -> None:
    with Client(server) as client:
        begin = time.monotonic()
        client.send(client.headers(1, INFER), data(1, inference(), end=False)[:-5])
        fields, _ = client.answer(1)
        assert status(fields) == Code.DEADLINE_EXCEEDED
        assert fields["grpc-message"] == "the request's message took too long to come"
        assert time.monotonic() - begin > 0.8


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        frames.PREFACE[:10],
        frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0),
        frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0)[:5],
        frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0) + frames.frame(frames.HEADERS, 0, 1, b"\x88"),
    ],
)
def test_a_client_that_says_nothing_more_is_let_go(server: Any, sent: Any) -> None:
    with Client(server, greet=False) as client:
        begin = time.monotonic()
        client.send(sent)
        assert client.end() in (None, Reason.NO_ERROR)
        assert time.monotonic() - begin < 5


def test_a_client_that_does_not_take_its_answer_is_let_go(server: Any) -> None:
    with Client(server, settings=struct.pack(">HL", frames.INITIAL_WINDOW_SIZE, 0)) as client:
        begin = time.monotonic()
        client.send(client.headers(1), data(1))
        assert client.end() is None
        assert time.monotonic() - begin < 5


def test_messages_that_are_held_back_are_bounded_together(server: Any) -> None:
    with Client(server) as client:
        for one in range(60):  # 60 x 60 kB are more than 2.4 MiB
            client.send(client.headers(1 + 2 * one, INFER), b"")
            client.send(frames.frame(frames.DATA, 0, 1 + 2 * one, (b"\0\0\x0f\0\0" + b"x" * 60_000)))
            client.send(frames.frame(frames.PING, 0, 0, b"12345678"))
        codes = set()
        for kind, flags, _, payload in client.frames():
            if kind == frames.HEADERS and flags & frames.END_STREAM:
                fields = dict(client.decoder.decode(payload))
                codes.add(status(fields))
                if status(fields) == Code.UNAVAILABLE:
                    assert "hold 2516582 bytes already" in fields["grpc-message"]
                    break
        assert Code.UNAVAILABLE in codes
    with server.client() as http:
        wait_until(lambda: "modelyard_held_bytes 0\n" in http.get("/metrics").text)


def test_random_frames_leave_the_server_as_it_was(server: Any) -> None:
    chance = random.Random(7)
    for _ in range(150):
        with Client(server) as client:
            pieces = [client.headers(1, INFER), data(1, inference())]
            for _ in range(chance.randrange(1, 12)):
                payload = chance.randbytes(chance.choice((0, 1, 4, 5, 6, 8, 30, 300)))
                kind, flags = chance.randrange(12), chance.choice((0, 1, 4, 5, 8, 13, 0x25, 255))
                pieces.append(frames.frame(kind, flags, chance.choice((0, 1, 3, 5, 7, 2)), payload))
            chance.shuffle(pieces)
            client.send(*pieces)
            client.socket.shutdown(socket.SHUT_WR)
            client.end()
    with Client(server) as client:
        client.send(client.headers(1, INFER), data(1, inference()))
        assert status(client.answer(1)[0]) == Code.OK
    assert [line for line in server.logs if line["level"] == "error"] == []
