"""HTTP Basic: a user name and a password in front of everything but the probes; guesses are slowed.

Source: RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from .messages import Response, error_response

if TYPE_CHECKING:
    from .messages import Request

OPEN_PATHS = frozenset(
    {
        "/v2/health/live",
        "/v2/health/ready",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/grpc.health.v1.Health/Check",
    }
)
"""What answers without a password: the probes of Kubernetes and Docker, which say nothing of the model."""

EVENTS = "/events"
"""What brokers deliver events to; some can send no password."""

CHALLENGE = ((b"www-authenticate", b'Basic realm="modelyard", charset="UTF-8"'),)


class BasicAuth:
    """Knows the user name and the passwords, or that none is asked for."""

    def __init__(self, username: str | None, password: str | None, *, open_events: bool = False) -> None:
        lines = [line.removesuffix("\r") for line in (password or "").split("\n")]
        self._asks = username is not None and password is not None
        self._open = OPEN_PATHS | {EVENTS} if open_events else OPEN_PATHS
        self._expected = [_digest(f"{username}:{line}".encode()) for line in lines if line]

    def asks(self, request: Request) -> bool:
        """Whether `request` needs the user name and a password."""
        return self._asks and request.path not in self._open

    def allows(self, request: Request) -> bool:
        """Whether `request` brings them."""
        header = request.headers.get(b"authorization", b"")
        given = b"" if b"authorization" in request.repeated else _credentials(header)
        # Digests have one length, and all are compared, so that it takes as long for any guess.
        digest = _digest(given)
        return any([hmac.compare_digest(digest, expected) for expected in self._expected])  # noqa: C419 - all of them


def refusal() -> Response:
    """Return the answer to a request without the right user name and password."""
    return error_response(401, "a user name and a password are needed", CHALLENGE)


class Guesses:
    """Wrong passwords by peer, and how long the next request of that peer waits before it is looked at.

    Right ones wait alike, else the wait would tell. Whoever has given the password on a connection does not wait on it.
    """

    FREE, STEP_S, LONGEST_S = 10, 0.1, 1.0
    FORGIVE_S = 60.0
    MOST_PEERS = 1024

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float]] = {}

    def note(self, peer: str, now_s: float) -> None:
        """Remember a wrong password from `peer` at `now_s` on a clock that only rises."""
        count = self._count(peer, now_s) + 1
        self._wrong.pop(peer, None)  # to the end: the first is the one that has been quiet for longest
        self._wrong[peer] = count, now_s
        if len(self._wrong) > self.MOST_PEERS:
            del self._wrong[next(iter(self._wrong))]

    def wait_s(self, peer: str, now_s: float) -> float:
        """Return how long a request of `peer` waits, in seconds."""
        if not self._wrong:
            return 0.0
        return min(self.LONGEST_S, max(0, self._count(peer, now_s) - self.FREE) * self.STEP_S)

    def _count(self, peer: str, now_s: float) -> int:
        count, last_s = self._wrong.get(peer, (0, now_s))
        return count if now_s - last_s < self.FORGIVE_S else 0


def _credentials(header: bytes) -> bytes:
    """Return `user:password` from an `Authorization` header, or nothing."""
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()
