"""Hear of each environment variable that Python code asks for; what native code asks for is not heard."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

_on_read: list[Callable[[str, str], None]] = []
"""Called with a variable's name and the file of the code that asks for it."""


_WRAPPERS = ("os", "collections.abc", "_collections_abc")
_set: set[str] = set()


class _Environ(os._Environ):  # type: ignore[type-arg]  # noqa: SLF001 - there is no other way to hear of it
    """`os.environ`, which says who asks."""

    _walk: tuple[CodeType, int] | None = None

    def __getitem__(self, key: Any) -> Any:
        frame = _asking()
        if frame is not None and str(key) not in _set and self._walk != (frame.f_code, frame.f_lineno):
            for hear in _on_read:
                hear(str(key), frame.f_code.co_filename)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        """Note who goes through all of them, as for a program's environment: that asks for none of them."""
        frame = _asking()
        self.__dict__["_walk"] = (frame.f_code, frame.f_lineno) if frame is not None else None
        return super().__iter__()

    def __setitem__(self, key: Any, value: Any) -> None:
        """Note what this process sets: it is no question to ask for that."""
        _set.add(str(key))
        super().__setitem__(key, value)

    def setdefault(self, key: Any, value: Any = None, /) -> Any:
        """Set a variable that is not there, for somebody else to read: that is no question either."""
        if os.fsencode(key) not in os.environb:
            self[key] = value
        return super().__getitem__(key)


def _asking() -> FrameType | None:
    """Return the frame that asks: the first that is not the standard library's wrapping of a mapping."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - what the standard library's logging does
    while frame is not None and frame.f_globals.get("__name__") in _WRAPPERS:
        frame = frame.f_back
    return frame


def watch_variables(on_read: Callable[[str, str], None]) -> None:
    """Call `on_read` from now on with the name of each variable and the file of the code that asks for it."""
    _on_read[:] = [on_read]
    os.environ.__class__ = _Environ


def digest_of(name: str) -> str:
    """Return the digest of a variable's value, which may be a secret, or an empty text if it is not set; nobody hears of it."""
    value = os.environb.get(os.fsencode(name))
    return "" if value is None else hashlib.sha256(value).hexdigest()
