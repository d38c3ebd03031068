"""The broker that a server takes events from: where it is, said without a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelyard.errors import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-fA-F:.]+\]|[^@\s/:?#\[\]]+)(?::(\d{1,5}))?/?")


def url_problem(url: str, schemes: Mapping[str, int]) -> tuple[str, str] | None:
    """Return what is wrong with the URL of a broker, and what to do about it; None: nothing, or there is none.

    Args:
        url: the URL; empty: there is none.
        schemes: those that the source connects to, each with its usual port.
    """
    if not url:
        return None
    allowed = f"allowed: {listing(f'{one}://HOST:PORT' for one in schemes)}"
    if "@" in url:
        return "user name and password are files of their own, for this is read by everybody", allowed
    found = _URL.fullmatch(url)
    if found is None or not 0 < int(found[3] or 1) < 65536:
        return "it is no address of a broker", allowed
    if found[1] not in schemes:
        return f"the source has no scheme {found[1]!r}{did_you_mean(found[1], schemes)}", allowed
    return None


def port_of(url: str, schemes: Mapping[str, int]) -> int:
    """Return the port of a URL in which nothing is wrong; that of its scheme, if it does not say one."""
    return _parts(url, schemes)[1]


def address_of(url: str, schemes: Mapping[str, int]) -> str:
    """Return host and port of a URL in which nothing is wrong, `HOST:PORT`."""
    host, port = _parts(url, schemes)
    return f"{host}:{port}"


def _parts(url: str, schemes: Mapping[str, int]) -> tuple[str, int]:
    found = _URL.fullmatch(url)
    assert found is not None
    return found[2], int(found[3] or schemes[found[1]])
