"""Events are let in by tokens of an issuer, which signs, says where its keys are, and takes others."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.conftest import Running
from tests.serving.events.test_sink import CAUSE, RAW
from tests.standins.tls import certificate

from modelyard.serving.credentials import Oidc

jwt = pytest.importorskip("joserfc.jwt", reason="needs the extra oidc")
jwk = pytest.importorskip("joserfc.jwk")
oidc = pytest.importorskip("modelyard.serving.oidc")

AUDIENCE, SUBJECT = "digits.default", "system:serviceaccount:default:trigger-7"


class Issuer:
    """A server with TLS that says where its keys are to whoever shows its own token, as Kubernetes does."""

    token = "let-me-see"

    def __init__(self, folder: Path) -> None:
        certificate(folder)
        self.ca_file, self.token_file = folder / "tls.crt", folder / "token"
        self.token_file.write_text(f"{self.token}\n")
        self.keys: dict[str, Any] = {}
        self.asked: list[str] = []
        self.documents: dict[str, Callable[[], dict[str, Any]]] = {}
        self.thread: threading.Thread | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                good = self.headers["authorization"] == f"Bearer {issuer.token}"
                kinds = self.headers.get("accept", "*/*")
                good = good and ("jwk-set+json" in kinds or self.path != "/keys")  # as Kubernetes does
                found = issuer.documents.get(self.path) if good else None
                body = json.dumps(found() if found else {}).encode()
                self.send_response(200 if found else 401)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/cluster"
        self.documents["/cluster/.well-known/openid-configuration"] = self.discovery
        self.documents["/keys"] = lambda: {"keys": [one.as_dict(private=False) for one in self.keys.values()]}
        self.sign_with("one", "RSA", 2048)

    def discovery(self) -> dict[str, Any]:
        return {"issuer": self.url, "jwks_uri": self.url.replace("/cluster", "/keys")}

    def sign_with(self, kid: str, *kind: Any) -> None:
        self.keys[kid] = jwk.JWKRegistry.generate_key(*kind, {"kid": kid, "use": "sig"}, private=True)

    def serve(self) -> None:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        if self.thread:
            self.server.shutdown()
        self.server.server_close()

    def token_of(self, kid: str = "one", algorithm: str = "RS256", /, **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": self.url, "aud": [AUDIENCE], "sub": SUBJECT, "exp": now + 600, "iat": now, "nbf": now}
        given = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": algorithm, "kid": kid}, given, self.keys[kid], algorithms=[algorithm])

    def wanted(self, **others: Any) -> Oidc:
        usual: dict[str, Any] = {
            "issuer": self.url,
            "audience": AUDIENCE,
            "ca_file": self.ca_file,
            "token_file": self.token_file,
        }
        return Oidc(**(usual | others))


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    found = Issuer(tmp_path)
    yield found
    found.close()


@pytest.fixture
def judge(issuer: Issuer) -> Callable[..., Any]:
    """Gives what judges tokens by the issuer's keys, which are fetched already."""

    def made(**others: Any) -> Callable[..., Any]:
        tokens = oidc.Tokens(issuer.wanted(**others))
        if issuer.thread is None:
            issuer.serve()
        tokens.start()
        end = time.monotonic() + 10
        while tokens.judge(b"x") is oidc.Verdict.LATER:
            assert time.monotonic() < end
            time.sleep(0.01)
        return lambda token: tokens.judge(token.encode())

    return made


def encoded(data: Any) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


GOOD, BAD, LATER = oidc.Verdict.GOOD, oidc.Verdict.BAD, oidc.Verdict.LATER


def test_a_token_must_be_of_the_issuer_for_this_server_and_not_over(issuer: Issuer, judge: Callable[..., Any]) -> None:
    issuer.sign_with("ec", "EC", "P-256")
    said, now = judge(), int(time.time())

    assert said(issuer.token_of()) is GOOD
    assert said(issuer.token_of("ec", "ES256", aud=AUDIENCE, nbf=None, iat=None)) is GOOD
    assert said(issuer.token_of(exp=now - 30, iat=now + 30, nbf=now + 30)) is GOOD, "clocks are a little apart"
    wrong: list[dict[str, Any]] = [
        {"aud": "others"}, {"aud": ["a", "b"]}, {"aud": None}, {"aud": 7}, {"iss": "https://other"}, {"iss": None},
        {"exp": now - 90}, {"exp": None}, {"exp": "never"}, {"nbf": now + 90}, {"sub": None}, {"sub": ["a"]},
    ]  # fmt: skip
    assert {said(issuer.token_of(**claims)) for claims in wrong} == {BAD}


def test_a_token_that_another_key_has_signed_or_none_lets_nobody_in(issuer: Issuer, judge: Callable[..., Any]) -> None:
    said, token = judge(), issuer.token_of()
    head, claims, signature = token.split(".")
    none, symmetric = (encoded(json.dumps({"alg": one, "kid": "one"}).encode()) for one in ("none", "HS256"))
    by_secret = f"{symmetric}.{claims}"
    public = issuer.keys["one"].as_pem(private=False)
    by_secret += f".{encoded(hmac.digest(public, by_secret.encode(), 'sha256'))}"
    issuer.sign_with("one", "RSA", 2048)
    with_another = issuer.token_of()

    for wrong in (
        f"{head}.{claims}.",
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        by_secret,
        with_another,
        token[:-8],
    ):
        assert said(wrong) is BAD, wrong
    assert said(token) is GOOD


@given(st.one_of(st.binary(), st.text(".eyJ=-_ab1", max_size=60).map(str.encode)))
def test_rubbish_lets_nobody_in(rubbish: Any) -> None:
    tokens = oidc.Tokens(Oidc("https://issuer", AUDIENCE))
    tokens._keys = oidc.KeySet([jwk.ECKey.generate_key("P-256", {"kid": "one"})])
    tokens._fetched_s = time.monotonic()
    assert tokens.judge(rubbish) is BAD


def test_tokens_are_for_those_who_are_named(issuer: Issuer, judge: Callable[..., Any]) -> None:
    said = judge(subjects=("system:serviceaccount:default:*", "ann"))

    assert {said(issuer.token_of(sub=one)) for one in (SUBJECT, "ann")} == {GOOD}
    assert {said(issuer.token_of(sub=one)) for one in ("anna", "system:serviceaccount:other:x", "*")} == {BAD}


def test_a_new_key_is_fetched_when_a_token_comes_that_it_has_signed(
    issuer: Issuer, judge: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes keys up does not have them fetched all the time."""
    said = judge()
    issuer.sign_with("two", "EC", "P-256")
    token, asked = issuer.token_of("two", "ES256"), len(issuer.asked)
    assert {said(token) for _ in range(50)} == {BAD}
    assert len(issuer.asked) == asked
    monkeypatch.setattr(oidc, "HURRY_S", 0.2)
    time.sleep(0.25)
    assert said(token) is LATER, "it is not known yet: whoever sends it may come again"
    end = time.monotonic() + 10
    while said(token) is not GOOD:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert said(issuer.token_of()) is GOOD
    assert len(issuer.asked) == asked + 2


@pytest.mark.parametrize(
    ("document", "found", "said"),
    [
        ("/cluster/.well-known/openid-configuration", {"issuer": "https://evil"}, "calls itself 'https://evil'"),
        ("/cluster/.well-known/openid-configuration", {"jwks_uri": "http://127.0.0.1/k"}, "its jwks_uri is"),
        ("/cluster/.well-known/openid-configuration", {"jwks_uri": None}, "its jwks_uri is None"),
        ("/keys", {"keys": []}, "it has no keys"),
        ("/keys", {"keys": "none"}, "it has no keys"),
        ("/keys", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "it has no keys"),
    ],
)
def test_an_issuer_that_says_something_else_is_told(
    issuer: Issuer, document: str, found: dict[str, Any], said: str
) -> None:
    usual = issuer.documents[document]
    issuer.documents[document] = lambda: usual() | found
    issuer.serve()

    with pytest.raises(ValueError, match=said):
        oidc.fetch(issuer.wanted())


def test_who_is_not_shown_the_issuers_own_token_is_told(issuer: Issuer) -> None:
    issuer.serve()
    with pytest.raises(ValueError, match="openid-configuration is answered with 401"):
        oidc.fetch(issuer.wanted(token_file=None))
    with pytest.raises(ssl.SSLError):
        oidc.fetch(issuer.wanted(ca_file=None))


def test_events_are_let_in_by_tokens_of_an_issuer_and_nothing_else_is(
    start: Callable[..., contextlib.AbstractContextManager[Running]], models: Path, raw: np.ndarray, issuer: Issuer
) -> None:
    """Until the keys are there they may come again; which Knative does after 503, and after 401 does not."""
    asked = {"USERNAME": "ann", "PASSWORD": "pw", "EVENTS_AUTH": "oidc", "EVENTS_OIDC_ISSUER": issuer.url}
    asked |= {"EVENTS_OIDC_AUDIENCE": AUDIENCE, "EVENTS_OIDC_CA_FILE": str(issuer.ca_file)}
    asked |= {"EVENTS_OIDC_TOKEN_FILE": str(issuer.token_file), "EVENTS_OIDC_SUBJECTS": "ann system:serviceaccount:*"}
    token = issuer.token_of()
    with start(models / "float32", **asked) as server, server.client() as client:

        def sent(value: Any) -> Any:
            headers = CAUSE | RAW | {"authorization": value}
            return client.post("/events", content=raw.tobytes(), headers=headers)

        early = sent(f"Bearer {token}")
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        assert sent("").status_code == 401
        issuer.serve()
        assert server.wait_for_log("oidc", 20)["keys"] == 1
        assert sent(f"Bearer {token}").status_code == 200
        assert {sent(one).status_code for one in ("Basic YW5uOnB3", f"Bearer {token[:-6]}", "Bearer x")} == {401}
        for path in ("/metrics", "/v2"):
            assert client.get(path, headers={"authorization": f"Bearer {token}"}).status_code == 401
            assert client.get(path, auth=("ann", "pw")).status_code == 200
        assert server.stop() == 0
    assert token not in json.dumps([server.logs, server.errors])
