"""NATS JetStream: a durable consumer that is pulled from.

Source: NATS, ADR-13 (pull consumers) and ADR-9 (acknowledgements); CloudEvents, bindings/nats-protocol-binding.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nats
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import ConsumerConfig

from .http import headers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .event import Event

WAIT_S, CONFIRM_S = 1.0, 5.0
_FAILURES = (NatsError, OSError, TimeoutError)


@dataclass(frozen=True)
class Place:
    """Where events come from and go to.

    Attributes:
        url: the broker's, `nats://HOST:PORT`.
        input: the subject of the events.
        output: the subject of their answers.
        dead_letter: the subject of what cannot be answered.
        group: the name of the durable consumer.
        ack_wait_s: how long an event may be worked at before another gets it, in seconds.
    """

    url: str
    input: str
    output: str
    dead_letter: str
    group: str
    ack_wait_s: float = 30.0


class NatsDelivery:
    """A message of JetStream; see `source.Delivery`."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.headers: Mapping[bytes, bytes] = {
            key.lower().encode(): value.encode() for key, value in (message.headers or {}).items()
        }
        self.body: bytes = message.data
        self.attempt: int = message.metadata.num_delivered
        self.sent: dict[str, str] = dict(message.headers or {})

    async def acknowledge(self) -> None:
        await _tried(self._message.ack_sync(timeout=CONFIRM_S))

    async def put_back(self, delay_s: float) -> None:
        await _tried(self._message.nak(delay=delay_s))

    async def keep(self) -> None:
        await _tried(self._message.in_progress())


class Nats:
    """A stream of JetStream; see `source.Source`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Any = None

    async def open(self) -> None:
        place = self._place
        if self._client is not None:
            await self.close()
        self._client = await _tried(
            nats.connect(place.url, max_reconnect_attempts=0, allow_reconnect=False, connect_timeout=2, error_cb=_quiet)
        )
        self._stream = self._client.jetstream(timeout=CONFIRM_S)
        # The server must not give up before we do: what fails for good is ours to bury.
        config = ConsumerConfig(ack_wait=place.ack_wait_s, max_deliver=-1, max_ack_pending=-1)
        self._pull = await _tried(self._stream.pull_subscribe(place.input, durable=place.group, config=config))

    async def take(self, most: int) -> Sequence[NatsDelivery]:
        try:
            return [NatsDelivery(message) for message in await self._pull.fetch(most, timeout=WAIT_S)]
        except (NatsTimeoutError, TimeoutError):
            if not self._client.is_connected:
                raise ConnectionError(self._place.url) from None
            return []
        except (NatsError, OSError) as exc:
            raise ConnectionError(str(exc)) from exc

    async def publish(self, event: Event) -> None:
        headers = {name.decode(): value.decode() for name, value in headers_of(event)}
        headers |= {"ce-datacontenttype": event["datacontenttype"], "Nats-Msg-Id": event["id"]}
        await _tried(self._stream.publish(self._place.output, bytes(event.data or b""), headers=headers))

    async def bury(self, delivery: NatsDelivery, attributes: Mapping[str, str]) -> None:
        kept = {name: value for name, value in delivery.sent.items() if not name.lower().startswith("nats-")}
        headers = {**kept, **{f"ce-{name}": value for name, value in attributes.items()}}
        await _tried(self._stream.publish(self._place.dead_letter, delivery.body, headers=headers))

    async def close(self) -> None:
        await self._client.close()


async def _tried(step: Any) -> Any:
    try:
        return await step
    except _FAILURES as exc:
        raise ConnectionError(str(exc) or type(exc).__name__) from exc


async def _quiet(_: Exception) -> None:
    """Every failure is raised where it is met, too."""
