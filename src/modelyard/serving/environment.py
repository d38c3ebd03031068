"""One setting at a time, from a variable of the environment or the file that it names; errors name the variable, never a secret's value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import StartError
from .urls import shown_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_BROKER = re.compile(r"[a-z][a-z0-9+.-]*://[^@?#\s]+")


@dataclass(frozen=True)
class Environment:
    """Reads the variables of `environment`; whatever is wrong with one is a `StartError`."""

    environment: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """Return the value of `name` or the text of the file that `<name>_FILE` names; None if neither is set."""
        value, file = self.environment.get(name), self.environment.get(f"{name}_FILE")
        if value is not None and file is not None:
            msg = f"{name} and {name}_FILE are both set; keep one"
            raise StartError(msg)
        if file is not None:
            name, value = f"{name}_FILE", _file_text(name, file)
        if value == "":
            msg = f"{name}: empty; give a value or leave it out"
            raise StartError(msg)
        return value

    def path(self, name: str) -> Path | None:
        """Return the file that `name` names; None if it is not set."""
        value = self.environment.get(name)
        if value is None:
            return None
        if not Path(value).is_file():
            msg = f"{name}: no such file: {value!r}"
            raise StartError(msg)
        return Path(value)

    def matching(self, name: str, pattern: re.Pattern[str], allowed: str) -> str | None:
        """Return the text of `name` if the whole of it matches `pattern`."""
        value = self.text(name)
        if value is not None and not pattern.fullmatch(value):
            msg = f"{name}: {value!r}; allowed: {allowed}"
            raise StartError(msg)
        return value

    def broker(self, name: str) -> str | None:
        """Return the URL `name`; what is wrong with it may be a password in it, and so that is not told."""
        value = self.text(name)
        if value is not None and not _BROKER.fullmatch(value):
            msg = f"{name}: {shown_url(value)!r}; allowed: SCHEME://HOST:PORT; user name and password are files of their own, see {name.removesuffix('URL')}USERNAME and _PASSWORD"
            raise StartError(msg)
        return value

    def integer(self, name: str, default: int, low: int, high: int, *, auto: bool = False) -> int:
        """Return the whole number `name`, between `low` and `high`; 0 for `auto` where that is allowed."""
        value = self.text(name)
        if value is None:
            return default
        if auto and value == "auto":
            return 0
        if not re.fullmatch(r"\d{1,18}", value) or not low <= int(value) <= high:
            hint = (
                "; Kubernetes sets it for a Service of that name: use enableServiceLinks: false"
                if "://" in value
                else ""
            )
            others = "auto, or " if auto else ""
            msg = f"{name}: {value!r}; allowed: {others}a whole number, {low} to {high}{hint}"
            raise StartError(msg)
        return int(value)

    def number(self, name: str, low: int, high: int) -> int | None:
        """Return the whole number `name`, between `low` and `high`; None if it is not set."""
        return None if self.text(name) is None else self.integer(name, low, low, high)

    def seconds(self, name: str, default: float) -> float:
        """Return the duration `name` in seconds, 0 to 3600."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= 3600:
            msg = f"{name}: {value!r}; allowed: seconds, 0 to 3600"
            raise StartError(msg)
        return number

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return `name`, one of `allowed`."""
        value = self.text(name) or default
        if value not in allowed:
            msg = f"{name}: {value!r}; allowed: {', '.join(allowed)}"
            raise StartError(msg)
        return value


def _file_text(name: str, file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
        msg = f"{name}_FILE: {file!r} cannot be read: {reason}"
        raise StartError(msg) from exc
    return text.removesuffix("\n")


def check_together(first: str, first_value: object, second: str, second_value: object) -> None:
    """Check that of two settings that need each other both are set, or neither.

    Raises:
        StartError: one of them is missing.
    """
    if (first_value is None) == (second_value is None):
        return
    given, missing = (first, second) if second_value is None else (second, first)
    msg = f"{given} is set without {missing}; set both, or neither"
    raise StartError(msg)
