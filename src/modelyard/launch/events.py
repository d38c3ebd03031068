"""Events that are sent to a server by its broker, and what comes back of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from modelyard.errors import ToolError
from modelyard.launch.protocols import listed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from modelyard.serving.events.peer import Heard, Peer

    T = TypeVar("T")

NAME_IT = "name the broker: MODELYARD_EVENTS_URL, or url in [tool.modelyard.events]"
SET_IT = "the broker's settings: [tool.modelyard.events], or MODELYARD_EVENTS_... in the shell"
SOURCE = "urn:modelyard:send"
"""What events that are made here say that they come from."""
AT_ONCE = 256
"""Events that are sent before the broker is asked whether it has them."""


@dataclass(frozen=True)
class Event:
    """An event, as `modelyard.serving.events.peer.Sent` says.

    Attributes:
        id: its id.
        headers: its header fields.
        body: its data.
    """

    id: str
    headers: Mapping[str, str]
    body: bytes


def event(data: bytes, media_type: str, name: str) -> Event:
    """Return a new event with `data`; its id begins with `name`."""
    identity = f"{name}-{secrets.token_hex(4)}"
    headers = {
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-source": SOURCE,
        "ce-type": "dev.modelyard.sample",
        "content-type": media_type,
    }
    return Event(identity, headers, data)


def event_of_sample(sample: Mapping[str, NDArray[Any]], name: str) -> Event:
    """Return an event that asks for one raw sample, by input, each of its shape; as JSON."""
    row = {key: listed(value) for key, value in sample.items()}
    instance = row if len(row) > 1 else next(iter(row.values()))
    return event(json.dumps({"instances": [instance]}).encode(), "application/json", name)


def raw_event_of_sample(sample: Mapping[str, NDArray[Any]], name: str) -> Event:
    """Return an event that asks for one raw sample of the only input: its values little-endian, or the one text that it is."""
    (value,) = sample.values()
    data = value.item() if value.dtype.kind == "O" else value.astype(value.dtype.newbyteorder("<")).tobytes()
    return event(data, "application/octet-stream", name)


def traced(one: Event) -> Event:
    """Return `one` in a new trace."""
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    return replace(one, headers={**one.headers, "ce-traceparent": trace})


def structured(one: Event) -> Event:
    """Return `one`, whose data is JSON, as a single JSON text."""
    attributes = {name.removeprefix("ce-"): text for name, text in one.headers.items() if name.startswith("ce-")}
    whole = {**attributes, "datacontenttype": one.headers["content-type"], "data": json.loads(one.body)}
    return Event(one.id, {"content-type": "application/cloudevents+json"}, json.dumps(whole).encode())


def answer_id(heard: Heard) -> str:
    """Return the id that an answer must have: it follows from its cause, one of `event`, and from the model that it names."""
    said = {name: unquote(heard.headers.get(f"ce-model{name}", "")) for name in ("digest", "name", "version")}
    model = said["digest"] or f"{said['name']}:{said['version']}"
    return hashlib.sha256("\0".join((SOURCE, cause_of(heard), model)).encode()).hexdigest()[:32]


def peer_of(variables: Mapping[str, str], task: str) -> Peer:
    """Return the other side of the broker that a server with these variables takes its events from.

    Raises:
        ToolError: a variable is not right, there is no broker, or its client is not there.
    """
    from modelyard.serving.errors import StartError
    from modelyard.serving.events.setup import peer_of as opened
    from modelyard.serving.settings import Settings

    try:
        settings = Settings.read(variables)
        return opened(settings, variables, settings.model_name or "model")
    except StartError as exc:
        named = variables.get("MODELYARD_EVENTS_URL") or variables.get("MODELYARD_EVENTS_URL_FILE")
        todo = SET_IT if named else NAME_IT
        msg = f"{task}: {exc}\n  {todo}"
        raise ToolError(msg) from exc


def run(peer: Peer, doing: Callable[[Peer], Awaitable[T]], task: str) -> T:
    """Return what `doing` gives with the connected `peer`.

    Raises:
        ToolError: the broker is not there, or does not do what it is asked.
    """

    async def connected() -> T:
        try:
            await peer.open()
            return await doing(peer)
        finally:
            await peer.close()

    try:
        return asyncio.run(connected())
    except ConnectionError as exc:
        said = str(exc)
        todo = "" if "\n" in said else "\n  start the broker; `doit events:setup` makes what it lacks"
        msg = f"{task}: {said}{todo}"
        raise ToolError(msg) from exc


async def send(events: Sequence[Event], peer: Peer) -> None:
    """Send `events` by the connected `peer`; return when its broker has them all."""
    for start in range(0, len(events), AT_ONCE):
        await peer.send(events[start : start + AT_ONCE])


async def hear(events: Sequence[Event], wait_s: float, heard: Callable[[Heard, str], None], peer: Peer) -> list[str]:
    """Call `heard` for each of `events` that comes back, with the id of its cause; return the ids of those that do not.

    Args:
        events: what was sent.
        wait_s: how long they are waited for, in seconds, after the last that came.
        heard: called once for each event.
        peer: the connected other side of the broker.
    """
    missing = dict.fromkeys(one.id for one in events)
    end = time.monotonic() + wait_s
    while missing and time.monotonic() < end:
        for one in await peer.read():
            cause = cause_of(one)
            if cause in missing:
                del missing[cause]
                heard(one, cause)
                end = time.monotonic() + wait_s
    return list(missing)


def cause_of(heard: Heard) -> str:
    """Return the id of the event that something came back of: an answer names it, a dead letter is it."""
    return unquote(heard.headers.get("ce-id" if heard.is_dead else "ce-causationid", ""))
