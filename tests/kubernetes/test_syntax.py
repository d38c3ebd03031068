from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.kubernetes import syntax


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"), ("500m", "0.5"), ("0.5", "0.5"), (".5", "0.5"), ("1.", "1"), ("1Ki", "1024"),
        ("2Gi", str(2 * 1024**3)), ("1k", "1000"),
        ("1e3", "1000"), ("1E3", "1000"), ("1E", str(10**18)),
        ("-1", "-1"), ("+1", "1"), ("1n", "1e-9"), (2, "2"), (0.5, "0.5"),
    ],
)  # fmt: skip
def test_a_quantity_is_read(text: object, number: str) -> None:
    assert syntax.quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "1 Gi", "1GB", "1gi", "Gi", "1Mb", "1e", ".", "1٣", "1\n", True, None, [], "1ki"])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    assert syntax.quantity(text) is None


@pytest.mark.parametrize("text", ["a", "a-b", "0a", "a" * 63])
def test_a_dns_label_is_fine(text: str) -> None:
    assert not syntax.dns_label(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n", "é", None, 1])
def test_what_is_no_dns_label_is_refused(text: object) -> None:
    assert "is not a DNS label" in syntax.dns_label(text)


@pytest.mark.parametrize("text", ["", "a", "A.b_c-D", "1.0", "on", "a" * 63])
def test_a_label_value_is_fine(text: str) -> None:
    assert not syntax.label_value(text)


@pytest.mark.parametrize("text", ["-a", "a.", "a b", "a/b", "a+b", "a" * 64, "a\n", True, 1, None])
def test_what_is_no_label_value_is_refused(text: object) -> None:
    assert syntax.label_value(text)


@pytest.mark.parametrize(
    ("text", "fine"),
    [("a", True), ("a.b/C_d", True), ("/a", False), ("a/", False), ("a/b/c", False), ("A.b/c", False), ("", False)],
)
def test_a_key_has_at_most_one_prefix_which_is_a_dns_name(text: str, fine: bool) -> None:
    assert (not syntax.label_key(text)) is fine


@given(st.text())
def test_any_text_can_be_made_a_label_value(text: str) -> None:
    assert not syntax.label_value(syntax.as_label_value(text))


@given(st.from_regex(r"[a-z0-9]([a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True))
def test_what_is_a_label_value_stays_as_it_is(text: str) -> None:
    assert syntax.as_label_value(text) == text


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1.32", 32), ("v1.32", 32), ("1.32.4", 32), ("2.0", None), ("1", None), ("", None), ("1.32-x", None)],
)
def test_minor_reads_a_version(text: str, minor: int | None) -> None:
    assert syntax.minor(text) == minor
