"""A URL is quoted without what may be a password in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.urls import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://b:4222", "nats://b:4222"),
        ("nats://ann:secret@b:4222", "nats://...@b:4222"),
        ("nats://ann:secret/@b:4222", "nats://...@b:4222"),
        ("nats://ann:sec@ret@b", "nats://...@b"),
        ("nats://ann:secret@b,nats://bob:secret@c", "nats://...@c"),
        ("ann:secret@nats://b", "...@nats://b"),
        ("redis://b?password=secret", "redis://b?..."),
        ("b:6379?password=secret", "b:6379?..."),
        ("redis://ann:secret@b/1?ssl=true", "redis://...@b/1?..."),
        ("redis://b?password=secret@1", "redis://..."),
        ("redis://ann:a?secret@b", "redis://..."),
        ("nats://b#secret", "nats://b#..."),
        ("", ""),
    ],
)
def test_user_name_password_query_and_fragment_are_left_out(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@given(st.text(alphabet="S?#@/: ", min_size=1), st.text(alphabet="S?#@/: ", min_size=1))
def test_no_password_is_shown_whatever_is_in_it(name: str, password: str) -> None:
    assert "S" not in shown_url(f"nats://{name}:{password}@b")
    assert "S" not in shown_url(f"nats://b?password={name}{password}")
