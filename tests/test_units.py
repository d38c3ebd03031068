from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import ConfigError
from modelyard.units import DURATIONS, SIZES, duration, parse_duration_ms, parse_size


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [(1, 1), (2500.0, 2500), ("12", 12), ("200 kB", 200_000), ("2KB", 2000), ("1 MiB", 2**20), (" .5 GB ", 5 * 10**8)],
)
def test_sizes_are_read(value: float | str, size_bytes: int) -> None:
    assert parse_size(value, "here") == size_bytes


@pytest.mark.parametrize(
    ("value", "ms"), [(5, 5.0), (0.25, 0.25), ("5 ms", 5.0), ("0.2 s", 200.0), ("1min", 60_000.0), ("50 µs", 0.05)]
)
def test_durations_are_read(value: float | str, ms: float) -> None:
    assert parse_duration_ms(value, "here") == pytest.approx(ms)


@given(st.integers(1, 10**9), st.sampled_from(sorted(SIZES)), st.sampled_from(["", " ", "  "]))
def test_a_whole_number_of_any_unit_is_exact(number: int, unit: Any, space: Any) -> None:
    assert parse_size(f"{number}{space}{unit}", "here") == number * SIZES[unit]


@given(st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.booleans(), st.none()))
def test_anything_else_is_a_config_error_that_says_where(value: Any) -> None:
    for parse in (parse_size, parse_duration_ms):
        message = ""
        try:
            assert parse(value, "table: key") > 0
        except ConfigError as exc:
            message = str(exc)
        assert not message or (message.startswith("table: key: ") and "\n  " in message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("200 kb", r"unknown unit 'kb', did you mean 'kB'\?\n  units: B, kB"),
        ("5 m", "unknown unit 'm'"),
        ("-5 kB", "cannot be read"),
        ("", "cannot be read"),
        (True, "True cannot be read"),
        (float("nan"), "nan cannot be read"),
        (0, "less than one byte"),
        (-3, "less than one byte"),
        (10**400, "cannot be read"),
        ("9" * 400, "is too large"),
        (f"{'9' * 305} GB", "is too large"),
    ],
)
def test_what_is_wrong_with_a_size_is_said(value: str | bool | float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_size(value, "here")


def test_every_unit_of_time_is_in_milliseconds() -> None:
    assert DURATIONS["s"] == 1000 * DURATIONS["ms"] == 1_000_000 * DURATIONS["us"]
    with pytest.raises(ConfigError, match=r"here: 0 is not above 0"):
        parse_duration_ms(0, "here")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.26, "0.3 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (119.8, "2 min 0 s"),
        (3725, "62 min 5 s"),
    ],
)
def test_a_duration_is_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e7))
def test_no_duration_has_sixty_seconds(seconds: float) -> None:
    assert " 60 s" not in f" {duration(seconds)}"
