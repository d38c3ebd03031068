"""Sizes and durations as a person writes them, `"200 kB"`, `"1 MiB"`, `"5 ms"`, and reads them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from modelyard.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.toml.places import KeyPlace

SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Bytes in each unit of size."""

DURATIONS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1000.0, "min": 60_000.0}
"""Milliseconds in each unit of duration."""

_QUANTITY = r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([^\s0-9.]*)\s*"


def duration(seconds: float) -> str:
    """Return a duration for people: `0.3 s`, `12 s`, `3 min 20 s`."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def parse_size(value: str | float, where: str | KeyPlace) -> int:
    """Return a size in bytes, rounded down.

    Args:
        value: `"200 kB"`, `"1 MiB"`, or a number of bytes.
        where: the key that it is the value of, for the message.

    Raises:
        ConfigError: it is not a size, or not above 0.
    """
    size_bytes = _parse(value, SIZES, "B", where, "a number of bytes, or a text like '200 kB' or '1.5 MiB'")
    if size_bytes < 1:
        msg = f"{where}: {value!r} is less than one byte\n  allowed: a size above 0, for instance '200 kB'"
        raise ConfigError(msg)
    return int(size_bytes)


def parse_duration_ms(value: str | float, where: str | KeyPlace) -> float:
    """Return a duration in milliseconds, above 0.

    Args:
        value: `"5 ms"`, `"0.2 s"`, or a number of milliseconds.
        where: the key that it is the value of, for the message.

    Raises:
        ConfigError: it is not a duration, or not above 0.
    """
    duration_ms = _parse(value, DURATIONS, "ms", where, "a number of milliseconds, or a text like '5 ms' or '0.2 s'")
    if duration_ms <= 0:
        msg = f"{where}: {value!r} is not above 0\n  allowed: a duration above 0, for instance '5 ms'"
        raise ConfigError(msg)
    return duration_ms


def _parse(value: str | float, units: Mapping[str, float], plain: str, where: str | KeyPlace, allowed: str) -> float:
    if is_finite(value):
        return float(value)
    match = re.fullmatch(_QUANTITY, value) if isinstance(value, str) else None
    if match is None:
        msg = f"{where}: {value!r} cannot be read\n  allowed: {allowed}"
        raise ConfigError(msg)
    number, unit = match.groups()
    if (unit or plain) not in units:
        msg = f"{where}: {value!r}: unknown unit {unit!r}{_nearest(unit, units)}\n  units: {', '.join(units)}"
        raise ConfigError(msg)
    found = float(number) * units[unit or plain]
    if not is_finite(found):
        msg = f"{where}: {value!r} is too large\n  allowed: {allowed}"
        raise ConfigError(msg)
    return found


def is_finite(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a number that a float can hold: a whole number in TOML may be larger."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _nearest(unit: str, units: Mapping[str, float]) -> str:
    same = [name for name in units if name.lower() == unit.lower()]
    return did_you_mean(same[0] if same else unit, units)
