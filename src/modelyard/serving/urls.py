"""How a message quotes a URL that may hold a password."""

from __future__ import annotations

import re

_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?([^?#]*@)?([^@?#]*)(.*)", re.DOTALL)


def shown_url(url: str) -> str:
    """Return `url` with `...` in place of its user name and password, its query and its fragment.

    Where an `@` follows a `?` or a `#`, a password may hold these, and nobody can say where it begins: the scheme is left.
    """
    parts = _PARTS.fullmatch(url)
    assert parts is not None
    scheme, login, place, rest = (part or "" for part in parts.groups())
    if "@" in rest:
        return f"{scheme}..."
    return f"{scheme}{login and '...@'}{place}{rest and f'{rest[0]}...'}"
