"""OpenID Connect: whoever sends events shows a token that an issuer has signed, for this server and for a while.

Source: OpenID Connect Discovery 1.0, section 4; RFC 7517 for the keys, RFC 7519 and 8725 for the tokens.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import JWKRegistry, KeySet

from .logs import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .credentials import Oidc

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ("RS256", "ES256")
SKEW_S = 60
"""How far the clocks of issuer and server may be apart, in seconds."""
FRESH_S, HURRY_S = 600.0, 10.0
"""How long keys are good, and how soon they are fetched again for a token whose key is not among them, in seconds."""
AGAIN_S, LONGEST_S = 1.0, 60.0
TIMEOUT_S = 5.0
MOST_BYTES = 1 << 20


class Verdict(Enum):
    """What is said of a token."""

    GOOD = "the issuer has signed it, for this server"
    BAD = "it is none that lets anybody in"
    LATER = "the keys to tell are not here yet"


class Tokens:
    """Judges tokens by the keys of their issuer, which a thread fetches: at first, every while, and when one is missing."""

    def __init__(self, oidc: Oidc) -> None:
        self._oidc = oidc
        self._keys: KeySet | None = None
        self._fetched_s = 0.0
        self._wanted = threading.Event()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=SKEW_S,
            iss={"essential": True, "value": oidc.issuer},
            aud={"essential": True, "value": oidc.audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    def start(self) -> None:
        """Begin to fetch keys; in the process that serves."""
        threading.Thread(target=self._run, name="oidc", daemon=True).start()

    def judge(self, token: bytes) -> Verdict:
        """Return what is to be said of `token`."""
        keys = self._keys
        if not token:
            return Verdict.BAD
        if keys is None:
            return Verdict.LATER
        try:
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            self._claims.validate(claims)
        except InvalidKeyIdError:
            return self._unknown()
        except Exception:  # rubbish of any sort lets nobody in
            return Verdict.BAD
        return Verdict.GOOD if self._is_let_in(claims["sub"]) else Verdict.BAD

    def _unknown(self) -> Verdict:
        """An issuer signs with a new key at any time; whoever makes keys up has them fetched no more often than that."""
        if time.monotonic() - self._fetched_s < HURRY_S:
            return Verdict.BAD
        self._wanted.set()
        return Verdict.LATER

    def _is_let_in(self, subject: str) -> bool:
        wanted = self._oidc.subjects
        return not wanted or any(
            subject.startswith(one[:-1]) if one.endswith("*") else subject == one for one in wanted
        )

    # In a thread of its own.

    def _run(self) -> None:
        again_s = AGAIN_S
        while True:
            try:
                keys = fetch(self._oidc)
            except (OSError, http.client.HTTPException, ValueError) as exc:
                log(
                    logging.WARNING, "oidc", reason=f"{self._oidc.issuer}: {exc or type(exc).__name__}", again_s=again_s
                )
                time.sleep(again_s)
                again_s = min(LONGEST_S, 2 * again_s)
                continue
            self._fetched_s, self._keys, again_s = time.monotonic(), keys, AGAIN_S
            self._wanted.clear()  # whoever wanted them while they came has them now
            log(logging.INFO, "oidc", issuer=self._oidc.issuer, keys=len(keys.keys))
            self._wanted.wait(FRESH_S)


def fetch(oidc: Oidc) -> KeySet:
    """Return the keys that the issuer signs with.

    Raises:
        OSError, http.client.HTTPException, ValueError: it does not say.
    """
    headers = {"accept": "application/json, application/jwk-set+json"}  # Kubernetes has keys as the latter alone
    if oidc.token_file is not None:
        headers["authorization"] = f"Bearer {oidc.token_file.read_text().strip()}"
    context = ssl.create_default_context(cafile=oidc.ca_file)
    found = _get(oidc.issuer.rstrip("/") + DISCOVERY, headers, context)
    if found.get("issuer") != oidc.issuer:
        msg = f"it calls itself {found.get('issuer')!r:.200}; set MODELYARD_EVENTS_OIDC_ISSUER to that, if it is whom you mean"
        raise ValueError(msg)
    url = found.get("jwks_uri")
    if not isinstance(url, str) or urlsplit(url).scheme != urlsplit(oidc.issuer).scheme:
        msg = f"its jwks_uri is {url!r:.200}"
        raise ValueError(msg)
    return _keys(_get(url, headers, context).get("keys"))


def _keys(found: Any) -> KeySet:
    """Return those keys that signatures may be checked by; what is of another sort may lie among them."""
    keys = []
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get("kty") in ("RSA", "EC") and one.get("use", "sig") == "sig":
            keys.append(JWKRegistry.import_key(one))
    if not keys:
        msg = "it has no keys of the kinds RSA and EC"
        raise ValueError(msg)
    return KeySet(keys)


def _get(url: str, headers: Mapping[str, str], context: ssl.SSLContext) -> dict[str, Any]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("GET", parts.path or "/", headers=dict(headers))
        answer = connection.getresponse()
        text = answer.read(MOST_BYTES)
    finally:
        connection.close()
    if answer.status != 200:
        msg = f"{url} is answered with {answer.status}"
        raise ValueError(msg)
    found = orjson.loads(text)
    if not isinstance(found, dict):
        msg = f"{url} is answered with no JSON object"
        raise ValueError(msg)  # noqa: TRY004 - it is what came that is wrong
    return found
