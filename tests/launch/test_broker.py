"""The address of a broker: what is wrong with it is told with what is allowed, and what is right has a host and a port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.launch.broker import address_of, port_of, url_problem

SCHEMES = {"nats": 4222, "tls": 4222, "redis": 6379}
ALLOWED = "allowed: nats://HOST:PORT, redis://HOST:PORT, tls://HOST:PORT"
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.sampled_from(["[::1]", "[fe80::1]"])


@given(st.sampled_from(sorted(SCHEMES)), HOSTS, st.none() | st.integers(1, 65535), st.sampled_from(["", "/"]))
def test_an_address_is_read_with_its_port_or_that_of_its_scheme(
    scheme: str, host: str, port: int | None, end: str
) -> None:
    url = f"{scheme}://{host}" + (f":{port}" if port else "") + end
    assert url_problem(url, SCHEMES) is None
    assert port_of(url, SCHEMES) == (port or SCHEMES[scheme])
    assert address_of(url, SCHEMES) == f"{host}:{port or SCHEMES[scheme]}"


def test_no_url_is_no_problem() -> None:
    assert url_problem("", SCHEMES) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nats://ann:secret@b", "user name and password are files of their own, for this is read by everybody"),
        ("nats://b?password=a@b", "user name and password are files of their own, for this is read by everybody"),
        ("amqp://b", "the source has no scheme 'amqp'"),
        ("nat://b", "the source has no scheme 'nat', did you mean 'nats'?"),
        ("b:4222", "it is no address of a broker"),
        ("NATS://b", "it is no address of a broker"),
        ("nats://", "it is no address of a broker"),
        ("nats://b:", "it is no address of a broker"),
        ("nats://b:0", "it is no address of a broker"),
        ("nats://b:65536", "it is no address of a broker"),
        ("nats://b:123456", "it is no address of a broker"),
        ("nats://b:4222/queue", "it is no address of a broker"),
        ("nats://b?token=secret", "it is no address of a broker"),
        ("nats://b#x", "it is no address of a broker"),
        ("nats://b c", "it is no address of a broker"),
        ("nats://::1", "it is no address of a broker"),
        ("nats://a,nats://b", "it is no address of a broker"),
        ("nats://b\n", "it is no address of a broker"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_allowed(url: str, said: str) -> None:
    assert url_problem(url, SCHEMES) == (said, ALLOWED)


@given(st.text(max_size=20).map("nats://".__add__) | st.text(max_size=30))
def test_whatever_is_let_in_can_be_read(url: str) -> None:
    if url and url_problem(url, SCHEMES) is None:
        assert 0 < port_of(url, SCHEMES) < 65536
        assert "@" not in address_of(url, SCHEMES)
