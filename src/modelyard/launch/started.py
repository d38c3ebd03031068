"""A server that was started, before it is known whether it gets ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelyard.oci.rootfs import Rootfs

END_S = 60
"""How long a server that was sent a signal may take to end."""


@dataclass(frozen=True)
class Started:
    """A server that was started.

    Attributes:
        url: its address, `http://127.0.0.1:PORT`.
        how: where it runs, for people: `container` or `image files`.
        is_alive: tells whether it still runs.
        end: sends it a signal, waits for its end, and returns its exit code.
        stats: gives what the engine says of its container; None: it runs in none.
    """

    url: str
    how: str
    is_alive: Callable[[], bool]
    end: Callable[[int], int]
    stats: Callable[[], Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Beside:
    """What a server is given beside itself: that it must reach programs on loopback, and read files.

    Attributes:
        settings: further variables.
        files: the folder with the files that they name.
        root: the image's files, where they are unpacked already; None: where its server is started.
    """

    settings: Mapping[str, str]
    files: Path
    root: Rootfs | None = None
