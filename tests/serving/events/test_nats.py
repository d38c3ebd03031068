"""What the client of NATS does by itself: an event comes as soon as it is there, and what nobody took is given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving.events.brokers import NatsBroker

from modelyard.serving.events.source import Answer, Ending, Place, Tls

nats = pytest.importorskip("modelyard_plugins.sources.nats_jetstream", reason="needs the extra nats")

MOST = 8
LEASE_S = 30.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsBroker]:
    broker = NatsBroker(tmp_path / "broker")
    broker.start()
    broker.begin("t")
    broker.make()
    yield broker
    broker.end()
    broker.kill()


@pytest.fixture
def consuming(broker: NatsBroker) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    """Runs a conversation with the broker by a source that is open, and closes it."""
    where = (broker.url, broker.input, broker.output, broker.dead, broker.group, "one", broker.group)
    place = Place(*where, lease_s=LEASE_S, most=MOST, order="none", login=lambda: (None, None), tls=Tls())

    def run(step: Callable[[Any], Awaitable[None]]) -> None:
        async def opened() -> None:
            source = nats.open_source(place)
            await source.open()
            await step(source)
            await source.close()

        asyncio.run(opened())

    return run


async def sent(broker: NatsBroker, count: int) -> None:
    await asyncio.to_thread(broker.send, [b"x"] * count)


def test_a_lonely_event_waits_for_no_other(broker: NatsBroker, consuming: Any) -> None:
    async def step(source: Any) -> None:
        for _ in range(4):
            taking = asyncio.create_task(source.take(MOST))
            await asyncio.sleep(0.05)
            assert not taking.done()
            start = time.monotonic()
            await sent(broker, 1)
            (one,) = await taking
            assert time.monotonic() - start < 0.5
            assert await source.settle([Ending(one)]) == [None]

    consuming(step)
    assert broker.waiting() == 0


def test_no_more_is_asked_for_than_there_is_room_for(broker: NatsBroker, consuming: Any) -> None:
    async def step(source: Any) -> None:
        await sent(broker, 3 * MOST)
        held = list(await source.take(MOST))
        while len(held) < MOST:
            held += await source.take(MOST - len(held))
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(handed_out, broker) == MOST

    consuming(step)


def test_what_came_and_was_not_taken_is_handed_out_at_once_to_another(broker: NatsBroker, consuming: Any) -> None:
    async def leave(source: Any) -> None:
        await sent(broker, 1)
        (one,) = await source.take(MOST)
        await sent(broker, 3)  # the broker was asked for more than the one
        await asyncio.sleep(0.2)
        assert await source.settle([Ending(one)]) == [None]

    async def take(source: Any) -> None:
        found: list[Any] = []
        while len(found) < 3:
            found += await source.take(MOST)
        assert await source.settle([Ending(one) for one in found]) == [None] * 3

    consuming(leave)
    start = time.monotonic()
    consuming(take)
    assert time.monotonic() - start < LEASE_S / 3
    assert broker.waiting() == 0


def test_each_message_that_a_stream_does_not_take_is_told_apart(broker: NatsBroker, consuming: Any) -> None:

    async def step(source: Any) -> None:
        await sent(broker, 2)
        held: list[Any] = []
        while len(held) < 2:
            held += await source.take(2 - len(held))
        large, small = (Answer(str(size), {"ce-id": str(size)}, bytes(size)) for size in (2_000_000, 10))
        failures = await source.settle([Ending(held[0], answer=large), Ending(held[1], answer=small)])
        assert isinstance(failures[0], ValueError)
        assert "larger than the broker takes" in str(failures[0])
        assert failures[1] is None

    consuming(step)
    assert broker.count(broker.output) == 1


def test_a_consumer_that_is_gone_is_told_and_made_anew(
    broker: NatsBroker, consuming: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats.pulling, "SILENT_S", 1.2)

    async def removed() -> None:
        name = broker.input.replace(".", "-")
        await asyncio.to_thread(broker.ask, lambda stream: stream.delete_consumer(name, broker.group))

    async def step(source: Any) -> None:
        assert await source.take(MOST) == []
        await removed()
        with pytest.raises(ConnectionError, match="cannot be asked for events: no answer"):
            assert await source.take(MOST)
        await source.open()
        await sent(broker, 1)
        assert len(await source.take(MOST)) == 1

    consuming(step)


def handed_out(broker: NatsBroker) -> int:
    async def asked(stream: Any) -> int:
        return int((await stream.consumer_info(broker.input.replace(".", "-"), broker.group)).num_ack_pending)

    return int(broker.ask(asked))
