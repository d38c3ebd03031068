"""`--events-setup`: makes what a server needs at its broker, and serves nothing."""

# ruff: noqa: TID252 - the package is copied into images under another name

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..credentials import read_events_login
from ..errors import StartError
from .peer import open_peer
from .starting import place_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..settings import Settings
    from .peer import Peer


def peer_of(settings: Settings, environment: Mapping[str, str], name: str) -> Peer:
    """Return the other side of the broker that `settings` name, for the model `name`.

    Raises:
        StartError: they name none, or its client has no other side.
    """
    if settings.events_url is None or settings.events_client is None:
        msg = "MODELYARD_EVENTS_URL is not set: there is no broker to speak with"
        raise StartError(msg)
    return open_peer(settings.events_client, place_of(settings, lambda: read_events_login(environment), name))


def set_up(settings: Settings, environment: Mapping[str, str], name: str) -> Sequence[str]:
    """Make at the broker what is not there, and return in words what is there then.

    Raises:
        StartError: there is no such broker, or it does not do what it is asked.
    """
    try:
        return asyncio.run(_prepared(peer_of(settings, environment, name)))
    except ConnectionError as exc:
        msg = f"MODELYARD_EVENTS_URL: {settings.events_url}: {exc}"
        raise StartError(msg) from exc


async def _prepared(peer: Peer) -> Sequence[str]:
    try:
        await peer.open()
        return await peer.prepare()
    finally:
        await peer.close()
