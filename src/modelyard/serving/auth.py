"""HTTP Basic: a user name and a password in front of everything but the probes; guesses are slowed.

Events may be asked for a token of their own instead: a known one, or one that an issuer has signed.

Source: RFC 7617; RFC 6750 for the token.
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
    from .oidc import Tokens

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
TOKEN_CHALLENGE = ((b"www-authenticate", b'Bearer realm="modelyard"'),)
LOGIN_NEEDED, TOKEN_NEEDED = "a user name and a password are needed", "a token is needed"


class BasicAuth:
    """Knows the user name and the passwords, or that none is asked for, and the tokens that events bring instead, if any."""

    def __init__(
        self,
        username: str | None,
        password: str | None,
        *,
        open_events: bool = False,
        events_token: str | None = None,
        issued: Tokens | None = None,
    ) -> None:
        self._asks = username is not None and password is not None
        self._open = OPEN_PATHS | {EVENTS} if open_events else OPEN_PATHS
        self._expected = [_digest(f"{username}:{line}".encode()) for line in lines_of(password or "")]
        self._tokens = [_digest(line.encode()) for line in lines_of(events_token or "")]
        self._issued = issued

    def asks(self, request: Request) -> bool:
        """Whether `request` needs the user name and a password."""
        return (self._asks and request.path not in self._open) or self.asks_for_token(request)

    def asks_for_token(self, request: Request) -> bool:
        """Whether `request` needs a token, which stands for nothing but events, in place of the user name and a password."""
        return bool(self._tokens or self._issued) and request.path == EVENTS

    def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that does not bring what it needs; None: it does."""
        header = b"" if b"authorization" in request.repeated else request.headers.get(b"authorization", b"")
        if not self.asks_for_token(request):
            return None if self._knows(header, by_token=False) else error_response(401, LOGIN_NEEDED, CHALLENGE)
        if self._issued is None:
            return None if self._knows(header, by_token=True) else error_response(401, TOKEN_NEEDED, TOKEN_CHALLENGE)
        return _judged(self._issued, _token(header))

    def _knows(self, header: bytes, *, by_token: bool) -> bool:
        # Digests have one length, and all are compared, so that it takes as long for any guess.
        digest = _digest(_token(header) if by_token else _credentials(header))
        known = self._tokens if by_token else self._expected
        return any([hmac.compare_digest(digest, expected) for expected in known])  # noqa: C419 - all of them


def lines_of(secret: str) -> list[str]:
    """Return the lines of a secret, each of which is good; an empty one is none."""
    lines = (line.removesuffix("\r") for line in secret.split("\n"))
    return [line for line in lines if line]


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


def _judged(issued: Tokens, token: bytes) -> Response | None:
    """Return the answer to who brings `token`; None: it is good. Whom nothing can be said of yet may come again."""
    from .oidc import Verdict

    verdict = issued.judge(token)
    if verdict is Verdict.LATER:
        return error_response(503, "the issuer's keys are not here yet")
    return None if verdict is Verdict.GOOD else error_response(401, TOKEN_NEEDED, TOKEN_CHALLENGE)


def _credentials(header: bytes) -> bytes:
    """Return `user:password` from an `Authorization` header, or nothing."""
    try:
        return base64.b64decode(_of_scheme(b"basic", header), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _token(header: bytes) -> bytes:
    """Return the token from an `Authorization` header, or nothing."""
    return _of_scheme(b"bearer", header)


def _of_scheme(wanted: bytes, header: bytes) -> bytes:
    scheme, _, rest = header.strip().partition(b" ")
    return rest.strip() if scheme.lower() == wanted else b""


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()
