"""A gate before a broker of Kafka's protocol that has neither TLS nor passwords: it speaks TLS, and lets in who has the password.

    python kafka_gate.py PORT CERTIFICATE KEY INNER_PORT COMMAND ... (user name and password are GATE_USER and GATE_PASSWORD)

It starts the broker, which tells its clients the gate's address as its own. It is a program by itself and imports nothing.

Source: Apache Kafka, protocol, SaslHandshake and SaslAuthenticate; RFC 4616 (PLAIN); RFC 5802 (SCRAM).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import ssl
import struct
import sys
from collections.abc import Generator

API_VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 33, 58
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ITERATIONS = 4096
MOST_BYTES = 1 << 16
"""What a stranger may send at a time."""
Exchange = Generator[bytes, bytes, bytes]
"""Is sent what the client says, yields what it is to be told, and returns the last of that; raises `Refused`."""


class Refused(Exception):
    """Whoever it is has not the password."""


def plain(user: str, password: str) -> Exchange:
    """Have a client say the password."""
    said = (yield b"").split(b"\0")  # on whose behalf, who, and the password
    wanted = [user.encode(), password.encode()]
    if len(said) != 3 or said[0] not in (b"", said[1]) or not all(map(hmac.compare_digest, said[1:], wanted)):
        raise Refused
    return b""


def scram(user: str, password: str, name: str) -> Exchange:
    """Have a client prove that it knows the password, and prove the same to it; `name` is the hash's."""
    first = (yield b"").decode().removeprefix("n,,")
    asked = dict(field.split("=", 1) for field in first.split(","))
    salt, nonce = secrets.token_bytes(16), asked["r"] + secrets.token_hex(12)
    challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
    final = (yield challenge.encode()).decode()
    without_proof, _, proof = final.rpartition(",p=")
    message = f"{first},{challenge},{without_proof}".encode()
    salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", name)
    signature = hmac.digest(hashlib.new(name, client_key).digest(), message, name)
    wanted = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
    if asked["n"] != user or not hmac.compare_digest(base64.b64decode(proof), wanted):
        raise Refused
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", name), message, name)
    return b"v=" + base64.b64encode(verifier)


def exchange(mechanism: str, user: str, password: str) -> Exchange:
    """Return the exchange of a mechanism, which is at its beginning."""
    if mechanism == "PLAIN":
        return plain(user, password)
    return scram(user, password, mechanism.removeprefix("SCRAM-").replace("-", "").lower())


def text(value: str) -> bytes:
    """Return a string as the protocol has it."""
    return struct.pack(">h", len(value)) + value.encode()


async def frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next request, or answer, without its size."""
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    if not 0 <= size <= MOST_BYTES:
        raise Refused
    return await reader.readexactly(size)


def write(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Send a request, or an answer."""
    writer.write(struct.pack(">i", len(body)) + body)


class Gate:
    """Lets clients through to the broker at `inner_port`."""

    def __init__(self, inner_port: int, user: str, password: str) -> None:
        self._inner_port, self._user, self._password = inner_port, user, password

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(Refused, OSError, EOFError, ValueError, KeyError, struct.error):
            inner = await asyncio.open_connection("127.0.0.1", self._inner_port)
            try:
                await self._admit(reader, writer, *inner)
                await asyncio.gather(_passed(reader, inner[1]), _passed(inner[0], writer))
            finally:
                inner[1].close()
        writer.close()

    async def _admit(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inner_reader: asyncio.StreamReader,
        inner_writer: asyncio.StreamWriter,
    ) -> None:
        """Return when a client has shown that it has the password; until then it may ask for versions alone."""
        steps: Exchange | None = None
        while True:
            asked = await frame(reader)
            key, version, number, name_bytes = struct.unpack_from(">hhih", asked)
            body = asked[10 + max(0, name_bytes) :]
            if key == API_VERSIONS:
                write(inner_writer, asked)
                write(writer, await frame(inner_reader))
            elif key == HANDSHAKE:
                steps = self._begun(writer, number, body[2:].decode())
            elif key == AUTHENTICATE and steps is not None and version < 2:
                if self._answered(writer, number, version, steps, body[4:]):
                    return
            else:
                raise Refused

    def _begun(self, writer: asyncio.StreamWriter, number: int, mechanism: str) -> Exchange | None:
        is_known = mechanism in MECHANISMS
        names = b"".join(map(text, MECHANISMS))
        code = 0 if is_known else UNSUPPORTED_MECHANISM
        write(writer, struct.pack(">ihi", number, code, len(MECHANISMS)) + names)
        if not is_known:
            return None
        steps = exchange(mechanism, self._user, self._password)
        next(steps)
        return steps

    def _answered(self, writer: asyncio.StreamWriter, number: int, version: int, steps: Exchange, said: bytes) -> bool:
        """Answer a step; return whether it was the last."""
        code, why, told, is_last = 0, b"\xff\xff", b"", False
        try:
            told = steps.send(said)
        except StopIteration as end:
            told, is_last = end.value, True
        except (Refused, ValueError, KeyError):
            code, why = AUTHENTICATION_FAILED, text("Authentication failed")
        lifetime = bytes(8) if version else b""
        write(writer, struct.pack(">ih", number, code) + why + struct.pack(">i", len(told)) + told + lifetime)
        if code:
            raise Refused
        return is_last


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, to the end."""
    try:
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


async def main(port: str, certificate: str, key: str, inner_port: str, *command: str) -> int:
    """Start the broker, and the gate as soon as it listens; return the broker's exit status."""
    broker = await asyncio.create_subprocess_exec(*command)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    while broker.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", int(inner_port))
            writer.close()
            break
        await asyncio.sleep(0.05)
    gate = Gate(int(inner_port), os.environ["GATE_USER"], os.environ["GATE_PASSWORD"])
    async with await asyncio.start_server(gate.serve, "127.0.0.1", int(port), ssl=context):
        return await broker.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
