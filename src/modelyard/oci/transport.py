"""HTTP to a registry: one connection, authentication on demand, bodies streamed from files.

Source: OCI distribution-spec 1.1; distribution's token authentication specification; RFC 9110.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from modelyard.errors import ToolError
from modelyard.oci.credentials import Credentials, find_credentials
from modelyard.oci.reference import DOCKER_HUB

HUB_HOST = "registry-1.docker.io"
TIMEOUT_S = 120
TRIES = 4
AGAIN = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Answer:
    """A registry's answer: status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def errors(self) -> str:
        """Return what the registry says went wrong."""
        try:
            return "; ".join(f"{e['code']}: {e.get('message', '')}" for e in json.loads(self.body)["errors"])
        except (ValueError, KeyError, TypeError):
            return self.body[:200].decode("utf-8", "replace")


Body = bytes | Callable[[], BinaryIO]


class Client:
    """Speaks with one registry about one repository."""

    def __init__(self, host: str, scopes: tuple[str, ...], *, insecure: bool = False) -> None:
        self.host = host
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
            ToolError: the registry cannot be reached, or authentication fails.
        """
        target = urljoin(self.root, url)
        for attempt in range(TRIES):
            try:
                answer = self._with_login(method, target, body, size, dict(headers or {}))
            except (OSError, http.client.HTTPException) as exc:
                if attempt == TRIES - 1:
                    msg = (
                        f"registry {self.host!r}: cannot be reached: {exc}\n"
                        "  check the address and that the registry runs"
                    )
                    raise ToolError(msg) from exc
            else:
                if answer.status not in AGAIN or attempt == TRIES - 1:
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
        return send(method, url, body, headers, allow_http=self._plain)

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
            answer = send("POST", challenge["realm"], form, headers, allow_http=self._plain)
        else:
            login = {"Authorization": credentials.basic} if credentials else {}
            join = "&" if "?" in challenge["realm"] else "?"
            answer = send("GET", challenge["realm"] + join + urlencode(fields), b"", login, allow_http=self._plain)
        return self._token_of(answer)

    def _token_of(self, answer: Answer) -> str:
        found = json.loads(answer.body) if answer.status == 200 else {}
        token = found.get("token") or found.get("access_token")
        if not token:
            msg = (
                f"registry {self.host!r}: its token service answered {answer.status}: {answer.errors()}\n"
                f"  log in with `docker login {self.host}`"
            )
            raise ToolError(msg)
        return str(token)


def send(method: str, url: str, body: Body, headers: Mapping[str, str], *, allow_http: bool) -> Answer:
    """Send one request and return the answer; a file body is opened anew, so that a request can be repeated.

    Raises:
        ToolError: `url` is plain http and that is not allowed.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and (allow_http or is_loopback(parts.netloc))):
        msg = (
            f"{parts.scheme}://{parts.netloc}: not https\n"
            "  set `insecure` if this registry is really to be spoken to without encryption"
        )
        raise ToolError(msg)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT_S)
    try:
        content = body if isinstance(body, bytes) else body()
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request(method, path, body=content or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()
        if not isinstance(body, bytes) and "content" in locals():
            content.close()  # type: ignore[union-attr]


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
    return min(float(after), 30.0) if after.isdigit() else 0.5 * 2**attempt
