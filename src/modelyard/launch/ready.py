"""Waits for a server until its model can be asked."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait(url: str, is_alive: Callable[[], bool], timeout_s: float, poll_s: float) -> bool:
    """Return whether `url` is answered with 200, as soon as it is; False once the server has ended, or it took too long.

    Args:
        url: the address that says whether the server is ready.
        is_alive: tells whether it still runs.
        timeout_s: how long it may take, in seconds.
        poll_s: how long to rest between two requests, in seconds.
    """
    end = time.monotonic() + timeout_s
    while not _is_ready(url):
        if not is_alive() or time.monotonic() > end:
            return False
        time.sleep(poll_s)
    return True


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
