"""HTTP to a registry: one connection, authentication on demand, bodies streamed from files.

Source: OCI distribution-spec 1.1; distribution's token authentication specification; RFC 9110.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from modelyard.concurrency.deadlines import within
from modelyard.errors import ToolError
from modelyard.files.json import decode
from modelyard.oci.credentials import Credentials, find_credentials
from modelyard.oci.reference import DOCKER_HUB

HUB_HOST = "registry-1.docker.io"
TIMEOUT_S = 120
TRIES = 4
AGAIN = (429, 500, 502, 503, 504)
BYTES_PER_S = 50_000
"""A line slower than this counts as one that does not work."""
MAX_ANSWER_BYTES = 4 << 20
"""More than any answer to a push has; it is held in memory."""
_ADVICE = {
    404: "check the repository's name; some registries want it to be made first",
    413: "the registry, or a proxy in front of it, takes no body of this size: let it take more",
    429: "the registry asks to wait: push again later, what was sent is kept",
}


@dataclass(frozen=True)
class Answer:
    """A registry's answer: status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def errors(self) -> str:
        """Return what the registry says went wrong, in one line that a terminal can show."""
        try:
            text = "; ".join(
                f"{e['code']}: {e.get('message', '')}" for e in decode(self.body, dict[str, Any])["errors"]
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            text = self.body[:200].decode("utf-8", "replace")
        return "".join(one if one.isprintable() else " " for one in text[:500]).strip() or "it gives no reason"


Body = bytes | Callable[[], BinaryIO]


class Client:
    """Speaks with one registry about one repository."""

    def __init__(
        self,
        host: str,
        scopes: tuple[str, ...],
        *,
        insecure: bool = False,
        tries: int = TRIES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.host = host
        self._tries, self._timeout_s = tries, timeout_s
        self._scopes = scopes
        self._plain = insecure or is_loopback(host)
        self._authorization = ""
        scheme = "http" if self._plain else "https"
        self.root = f"{scheme}://{HUB_HOST if host == DOCKER_HUB else host}/v2/"

    def request(
        self, method: str, url: str, *, body: Body = b"", size: int = 0, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to a request to `url` (relative to the registry's `/v2/`), repeated while it is busy.

        Raises:
            ToolError: the registry cannot be reached, authentication fails, or it gave an address that is none.
        """
        try:
            return self._request(method, urljoin(self.root, url), body, size, headers or {})
        except ValueError as exc:  # of urllib and http.client, for what the registry wants to be asked for
            msg = f"registry {self.host!r}: gave an address or a header that cannot be used: {exc}\n  check that it is a registry"
            raise ToolError(msg) from exc

    def _request(self, method: str, target: str, body: Body, size: int, headers: Mapping[str, str]) -> Answer:
        for attempt in range(self._tries):
            try:
                answer = self._with_login(method, target, body, size, dict(headers))
            except (OSError, http.client.HTTPException) as exc:
                if attempt == self._tries - 1:
                    msg = (
                        f"registry {self.host!r}: cannot be reached: {exc}\n"
                        "  check the address and that the registry runs"
                    )
                    raise ToolError(msg) from exc
            else:
                if answer.status not in AGAIN or attempt == self._tries - 1:
                    return answer
                time.sleep(_pause_s(answer, attempt))
        raise AssertionError

    def _with_login(self, method: str, url: str, body: Body, size: int, headers: dict[str, str]) -> Answer:
        answer = self._send(method, url, body, size, headers)
        if answer.status == 401 and self._is_ours(url):
            self._authorization = self._log_in(answer.headers.get("www-authenticate", ""))
            answer = self._send(method, url, body, size, headers)
        if answer.status in (401, 403):
            msg = (
                f"registry {self.host!r}: {answer.status} for {method} {urlsplit(url).path}: {answer.errors()}\n"
                f"  log in with `docker login {self.host}`"
            )
            raise ToolError(msg)
        return answer

    def _is_ours(self, url: str) -> bool:
        """Return whether `url` is the registry itself; credentials go nowhere else, whatever a redirect says."""
        ours, theirs = urlsplit(self.root), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _send(self, method: str, url: str, body: Body, size: int, headers: dict[str, str]) -> Answer:
        if self._authorization and self._is_ours(url):
            headers = {**headers, "Authorization": self._authorization}
        if method in ("POST", "PUT", "PATCH"):
            headers = {**headers, "Content-Length": str(len(body) if isinstance(body, bytes) else size)}
        return send(method, url, body, headers, allow_http=self._plain, size=size, timeout_s=self._timeout_s)

    def _log_in(self, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        credentials = find_credentials(self.host)
        if scheme.lower() == "basic" and credentials and credentials.username:
            return credentials.basic
        if scheme.lower() == "bearer" and "realm" in values:
            return f"Bearer {self._token(values, credentials)}"
        msg = (
            f"registry {self.host!r}: asks for a login ({scheme or 'no scheme'}) and there are no credentials for it\n"
            f"  log in with `docker login {self.host}`"
        )
        raise ToolError(msg)

    def _token(self, challenge: Mapping[str, str], credentials: Credentials | None) -> str:
        fields = [("service", challenge.get("service", "")), *(("scope", scope) for scope in self._scopes)]
        if credentials and credentials.identity_token:
            more = [
                ("grant_type", "refresh_token"),
                ("refresh_token", credentials.identity_token),
                ("client_id", "modelyard"),
            ]
            form = urlencode([fields[0], ("scope", " ".join(self._scopes)), *more]).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form))}
            answer = send("POST", challenge["realm"], form, headers, allow_http=self._plain, timeout_s=self._timeout_s)
        else:
            login = {"Authorization": credentials.basic} if credentials else {}
            join = "&" if "?" in challenge["realm"] else "?"
            answer = send(
                "GET",
                challenge["realm"] + join + urlencode(fields),
                b"",
                login,
                allow_http=self._plain,
                timeout_s=self._timeout_s,
            )
        return self._token_of(answer)

    def _token_of(self, answer: Answer) -> str:
        token = _token_in(answer.body) if answer.status == 200 else ""
        if not token:
            advice = advice_for(answer.status, f"log in with `docker login {self.host}`")
            said = answer.errors() if answer.status != 200 else f"and gave no token: {answer.errors()}"
            msg = f"registry {self.host!r}: its token service answered {answer.status}: {said}\n  {advice}"
            raise ToolError(msg)
        return token


def _token_in(body: bytes) -> str:
    """Return the token that a token service gave; empty if it gave none that a header can hold."""
    try:
        found = decode(body, dict[str, Any])
        token = found.get("token") or found.get("access_token")
    except ValueError:
        return ""
    return token if isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token) else ""


def advice_for(status: int, otherwise: str) -> str:
    """Return what to do after a registry has answered `status`."""
    if status >= 500:
        return "the registry, or a proxy in front of it, has failed: look at its log, and push again: what was sent is kept"
    return _ADVICE.get(status, otherwise)


def send(
    method: str,
    url: str,
    body: Body,
    headers: Mapping[str, str],
    *,
    allow_http: bool,
    size: int = 0,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request and return the answer; a file body is opened anew, so that a request can be repeated.

    Args:
        method: of the request.
        url: where to.
        body: bytes, or what opens a file of `size` bytes.
        headers: of the request.
        allow_http: whether `url` may be plain http.
        size: of a file body, in bytes.
        timeout_s: how long it all may take, in seconds; a body has a second more for each `BYTES_PER_S`.

    Raises:
        ToolError: `url` is plain http and that is not allowed, or the answer does not end.
        TimeoutError: the answer is not there in time: one byte a minute is too slow, too.
        ValueError: `url` is no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        msg = f"{url[:200]!r} is no address of a web server"
        raise ValueError(msg)
    if parts.scheme == "http" and not (allow_http or is_loopback(parts.netloc)):
        msg = (
            f"{parts.scheme}://{parts.netloc}: not https\n"
            "  set `insecure` if this registry is really to be spoken to without encryption"
        )
        raise ToolError(msg)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    limit_s = timeout_s + (len(body) if isinstance(body, bytes) else size) / BYTES_PER_S
    try:
        return within(limit_s, lambda: _exchange(connection, method, path, body, headers))
    except TimeoutError as exc:
        msg = str(exc) or f"no whole answer within {limit_s:.0f} s"
        raise TimeoutError(msg) from exc
    finally:
        _end(connection)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Body, headers: Mapping[str, str]
) -> Answer:
    content = body if isinstance(body, bytes) else body()
    try:
        connection.request(method, path, body=content or None, headers=dict(headers))
        response = connection.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
    finally:
        if not isinstance(content, bytes):
            content.close()
    if len(data) > MAX_ANSWER_BYTES:
        msg = (
            f"registry {connection.host!r}: the answer to {method} {path} has more than {MAX_ANSWER_BYTES:,} bytes\n"
            "  check that it is a registry"
        )
        raise ToolError(msg)
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)


def _end(connection: http.client.HTTPConnection) -> None:
    """Close `connection`, also for a thread that still sends or waits on it."""
    with contextlib.suppress(OSError, AttributeError):  # it is closed, or was never open
        connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def is_loopback(netloc: str) -> bool:
    """Return whether a host, with or without a port, is this machine."""
    host = urlsplit(f"//{netloc}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pause_s(answer: Answer, attempt: int) -> float:
    after = answer.headers.get("retry-after", "")
    return min(float(after), 30.0) if after.isascii() and after.isdigit() else 0.5 * 2**attempt
